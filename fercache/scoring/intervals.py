"""Confidence intervals of scores (shares of faces, and means over expressions), over faces or whole subjects.

Their coverage is simulated in `tests/coverage`; the table is in docs/records.md.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtri, stdtrit

LEVEL: Final = 0.95
FEWEST_FACES: Final = 10
"""An expression with fewer faces has too few for a reliable recall."""

_BORROWED = 4
"""Pseudo-faces that pull an expression's recall towards the mean, in the variance only: two of two faces may be
correct by luck, with zero variance of their own."""


Interval = tuple[float, float]


def score_intervals(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    subjects: NDArray[np.object_] | None = None,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Intervals of `accuracy`, of `accuracy_unconditional` (the same score), and of `mean_class_recall`.

    `accuracy` is conditional on each expression's number of faces: other faces, but the same mix.
    `accuracy_unconditional` is for faces sampled like these, whatever their mix. Mean class recall is the same either
    way. With `subjects` (N,) the intervals cover other people, not just other faces of the same people; each face whose
    subject is "" is its own subject. `truth` and `predicted` (N,) index the same classes. Raises ValueError without
    faces.
    """
    _, class_of = np.unique(truth, return_inverse=True)
    right, faces = _counts(truth == predicted, class_of, subjects)
    share = faces.sum(axis=0) / len(truth)
    known = subjects is not None
    return {
        "accuracy": _interval(right, faces, share, known=known, level=level),
        "accuracy_unconditional": share_interval(truth == predicted, subjects, level)[0],
        "mean_class_recall": _interval(right, faces, np.full(len(share), 1 / len(share)), known=known, level=level),
    }


def share_interval(
    right: NDArray[np.bool_], subjects: NDArray[np.object_] | None = None, level: float = LEVEL
) -> tuple[Interval, float]:
    """The interval of the share of `right` (N,) faces, and its `subject_discount`; 1 without subjects."""
    hits, faces = _counts(right, np.zeros(len(right), dtype=np.int64), subjects)
    one = np.ones(1)
    known = subjects is not None
    return _interval(hits, faces, one, known=known, level=level), subject_discount(
        hits, faces, one, level=level
    ) if known else 1.0


def few_faces(support: Mapping[str, int]) -> tuple[str, ...]:
    """The expressions with some faces, but fewer than FEWEST_FACES."""
    return tuple(name for name, faces in support.items() if 0 < faces < FEWEST_FACES)


def wilson(share: ArrayLike, faces: ArrayLike, level: float = LEVEL) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wilson's interval of a `share` of `faces`, both (...) and above 0 (Wilson 1927; Brown, Cai & DasGupta 2001)."""
    share, faces = np.asarray(share, dtype=np.float64), np.asarray(faces, dtype=np.float64)
    z = ndtri((1 + level) / 2)
    centre = (share + z**2 / (2 * faces)) / (1 + z**2 / faces)
    reach = z / (1 + z**2 / faces) * np.sqrt(np.maximum(share * (1 - share), 0) / faces + z**2 / (4 * faces**2))
    return np.maximum(centre - reach, 0), np.minimum(centre + reach, 1)


def mean_interval(
    right: NDArray[np.float64], faces: NDArray[np.float64], weights: NDArray[np.float64], level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(..., K) correct faces and faces of each class -> (...) limits of the mean recall with (..., K) `weights`.

    The widest of three intervals. Wilson's and Jeffreys' for the number of faces with which a single share would have
    the mean's variance ("effective sample size", Korn & Graubard 1998; Dean & Pagano 2015): the former is reliable away
    from 1, the latter near it. And that from the classes' own Wilson limits, with distances added like variances
    (MOVER, Zou & Donner 2008), which is reliable if one class has few faces and differs from the others. Weights add up
    to 1; counts need not be integers.
    """
    recall = right / faces
    value = np.clip((weights * recall).sum(axis=-1), 0, 1)
    count = _effective_faces(value, right, faces, weights=weights)
    tail = (1 - level) / 2
    hits, misses = count * value, count * (1 - value)
    jeffreys = (
        np.where(hits > 0, betaincinv(hits + 0.5, misses + 0.5, tail), 0),
        np.where(misses > 0, betaincinv(hits + 0.5, misses + 0.5, 1 - tail), 1),
    )
    low, high = wilson(recall, faces, level)
    added = (
        value - np.sqrt((weights**2 * (recall - low) ** 2).sum(axis=-1)),
        value + np.sqrt((weights**2 * (high - recall) ** 2).sum(axis=-1)),
    )
    lows, highs = zip(wilson(value, count, level), jeffreys, added, (value, value), strict=True)
    return np.maximum(np.min(lows, axis=0), 0), np.minimum(np.max(highs, axis=0), 1)


def subject_discount(
    right: NDArray[np.float64], faces: NDArray[np.float64], weights: NDArray[np.float64], level: float = LEVEL
) -> float:
    """The factor by which faces count less since faces of a subject are alike: (S, K) counts -> a factor up to 1.

    The inverse design effect: the variance of the weighted mean over subjects (Taylor linearisation) divided by that of
    independent faces, at least 1; with a further correction by Student's t for estimating it from S subjects (Korn &
    Graubard 1998). If few subjects have errors, or few correct faces, correlation within subjects could go unnoticed,
    and the design effect is pulled towards that of one effective face per subject. 0 for a single subject, which says
    nothing about other people.
    """
    subjects, total = len(faces), faces.sum(axis=0)
    if subjects < 2:
        return 0.0
    recall = right.sum(axis=0) / total
    influence = ((right - recall * faces) / total) @ weights
    between = subjects / (subjects - 1) * (influence**2).sum()
    within = _variance((weights * recall).sum(), right.sum(axis=0), total, weights=weights)
    effect = max(1.0, between / within) if within > 0 else 1.0
    wholly_alike = max(effect, (faces.sum(axis=1) ** 2).sum() / faces.sum())
    telling = min(np.count_nonzero((right < faces).any(axis=1)), np.count_nonzero(right.any(axis=1))) ** 2
    effect = (telling * effect + wholly_alike) / (telling + 1)
    above = (1 + level) / 2
    return float((ndtri(above) / stdtrit(subjects - 1, above)) ** 2 / effect)


def _counts(
    right: NDArray[np.bool_], class_of: NDArray[np.int64], subjects: NDArray[np.object_] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(S, K) correct faces, and all faces, by subject and class; a single row without subjects."""
    refuse_no_faces(right)
    rows = np.zeros(len(right), dtype=np.int64) if subjects is None else numbered_subjects(subjects)
    shape = (int(rows.max()) + 1, int(class_of.max()) + 1)
    counts = (np.bincount(rows * shape[1] + class_of, each, minlength=shape[0] * shape[1]) for each in (right, None))
    hits, faces = (each.reshape(shape).astype(np.float64) for each in counts)
    return hits, faces


def _interval(
    right: NDArray[np.float64], faces: NDArray[np.float64], weights: NDArray[np.float64], known: bool, level: float
) -> Interval:
    """The limits from (S, K) counts by subject and class, if subjects are `known`."""
    counts_for = subject_discount(right, faces, weights, level=level) if known else 1.0
    if counts_for == 0:
        return 0.0, 1.0
    low, high = mean_interval(counts_for * right.sum(axis=0), counts_for * faces.sum(axis=0), weights, level=level)
    return float(low), float(high)


def _effective_faces(
    value: NDArray[np.float64], right: NDArray[np.float64], faces: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(...) number of faces with which a single share would have the variance of the weighted mean `value`."""
    certain = (value * (1 - value)) < 1e-12
    variance = np.where(certain, 1, _variance(value, right, faces, weights=weights))
    return np.where(certain, 1 / (weights**2 / faces).sum(axis=-1), value * (1 - value) / variance)


def _variance(
    value: NDArray[np.float64], right: NDArray[np.float64], faces: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(...) variance of the weighted mean of (..., K) recalls, which are pulled towards it."""
    drawn = (right + _BORROWED * np.asarray(value)[..., None]) / (faces + _BORROWED)
    return np.asarray((weights**2 * drawn * (1 - drawn) / faces).sum(axis=-1))


def refuse_no_faces(faces: NDArray[np.generic]) -> None:
    if len(faces) == 0:
        raise ValueError("There is no face to score.")


def numbered_subjects(subjects: NDArray[np.object_]) -> NDArray[np.int64]:
    """(N,) names -> (N,) indices from 0; each face whose subject is "" is its own subject."""
    unnamed = subjects == ""
    names, subject = np.unique(subjects.astype(str), return_inverse=True)
    subject[unnamed] = len(names) + np.arange(np.count_nonzero(unnamed))
    return np.unique(subject, return_inverse=True)[1]  # renumbers without the index of ""
