"""Calibration: how well confidence matches accuracy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fercache.scoring.intervals import LEVEL, Interval, refuse_no_faces, share_interval

_BORROWED = 4
"""Pseudo-faces that pull a bin's accuracy towards its confidence, in the variance only."""

_DRAWS = 1000
"""Draws of the noise in the bins, with a fixed seed, so that equal faces have equal intervals."""


@dataclass(frozen=True)
class Calibration:
    """The expected calibration error `ece` and its parts: one entry per bin of confidence, lowest first.

    `confidence` and `accuracy` are means over a bin's `faces`, None if it has none. Chance alone makes gaps in the
    bins, so `ece` is biased upwards, more so with fewer faces; `interval` is of the error without that bias.
    """

    ece: float
    interval: Interval
    faces: tuple[int, ...]
    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]


@dataclass(frozen=True)
class Abstention:
    """`risk[i]`: the error rate of the most confident share `coverage[i]` of the faces; `area`: the mean risk."""

    coverage: tuple[float, ...]
    risk: tuple[float, ...]
    area: float


@dataclass(frozen=True)
class Cut:
    """Answering only faces with at least this `confidence`: the share of faces answered, and their error rate.

    `bound` is the error rate if one more face had been answered, wrongly: few faces are no certainty.
    """

    confidence: float
    coverage: float
    risk: float
    bound: float


def calibration(
    probabilities: NDArray[np.float64],
    truth: NDArray[np.int64],
    subjects: NDArray[np.object_] | None = None,
    bins: int = 15,
) -> Calibration:
    """Compares the confidence of (N, L) `probabilities`, each face's highest, with accuracy.

    Bins are equally wide over (0, 1]. With `subjects` (N,) the interval covers other people, not just other faces of
    the same people. Raises ValueError without faces.
    """
    confidence, right = _confidence(probabilities, truth)
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    bin_of = np.digitize(confidence, inner_edges, right=True)
    faces, confident, correct = (
        np.bincount(bin_of, weights, minlength=bins).astype(np.float64)
        for weights in (None, confidence, right.astype(float))
    )
    return Calibration(
        ece=float(np.abs(confident - correct).sum() / len(truth)),
        interval=_ece_interval(faces, confident, correct, *share_interval(right, subjects)),
        faces=tuple(int(n) for n in faces),
        confidence=tuple(float(total / n) if n else None for total, n in zip(confident, faces, strict=True)),
        accuracy=tuple(float(total / n) if n else None for total, n in zip(correct, faces, strict=True)),
    )


def _ece_interval(
    faces: NDArray[np.float64],
    confident: NDArray[np.float64],
    correct: NDArray[np.float64],
    accuracy: Interval,
    counts_for: float,
) -> Interval:
    """The interval of the error that the bins would have with infinitely many faces, from (B,) sums per bin.

    Gaps are observed with noise of known size. It inflates the sum of absolute gaps least if the true gaps are spread
    evenly (relative to the noise), and most if there are few. So the lower limit assumes gaps proportional to those
    observed, the upper limit gaps proportional to their noise, each scaled so that the observed sum is at the outer
    2.5 % of the draws. The upper limit is never below the distance between the `accuracy` interval and the mean
    confidence, nor below the observed error. A face counts for less than one (`counts_for`) if faces of a subject are
    alike.
    """
    if counts_for == 0:
        return 0.0, 1.0
    total, some = faces.sum(), np.maximum(faces, 1)
    gap = np.abs(confident - correct) / total
    bias = (confident.sum() - correct.sum()) / total
    drawn = (correct + _BORROWED * np.clip(confident / some - bias, 0, 1)) / (faces + _BORROWED)
    unsure = (confident / some - drawn) ** 2 * _BORROWED / (faces + _BORROWED)
    noise = np.sqrt(faces * (drawn * (1 - drawn) + unsure) / counts_for) / total
    draws = np.random.default_rng(0).standard_normal((_DRAWS, len(faces))) * noise
    tail, found, mean = (1 - LEVEL) / 2, float(gap.sum()), float(confident.sum() / total)
    high = max(_error_seen(found, noise, draws, share=tail), mean - accuracy[0], accuracy[1] - mean, found)
    return min(_error_seen(found, gap, draws, share=1 - tail), found), min(high, 1.0)


def _error_seen(found: float, shape: NDArray[np.float64], draws: NDArray[np.float64], share: float) -> float:
    """The error, for gaps proportional to `shape`, at which a `share` of the noisy `draws` is below `found`."""
    low, high = 0.0, 1.0
    if not shape.any() or np.quantile(np.abs(draws).sum(axis=1), share) >= found:
        return 0.0
    for _ in range(20):
        middle = (low + high) / 2
        seen = np.abs(middle * shape / shape.sum() + draws).sum(axis=1)
        low, high = (middle, high) if np.quantile(seen, share) < found else (low, middle)
    return high


def risk_coverage(probabilities: NDArray[np.float64], truth: NDArray[np.int64], points: int = 20) -> Abstention:
    """The error rate when only the most confident faces are answered, at `points` coverages up to 1.

    Faces with equal confidence share their mean risk, so the order of faces does not matter. The area is over all N
    coverages (AURC). Raises ValueError without faces.
    """
    confidence, right = _confidence(probabilities, truth)
    _, level, faces = np.unique(-confidence, return_inverse=True, return_counts=True)
    wrong = np.bincount(level, ~right) / faces
    risks = np.cumsum(np.repeat(wrong, faces)) / np.arange(1, len(truth) + 1)
    last = [-(-point * len(truth) // points) - 1 for point in range(1, points + 1)]
    return Abstention(
        coverage=tuple(point / points for point in range(1, points + 1)),
        risk=tuple(float(risk) for risk in risks[last]),
        area=float(risks.mean()),
    )


def cut_at(probabilities: NDArray[np.float64], truth: NDArray[np.int64], risk: float) -> Cut:
    """The lowest confidence whose `bound` is at most `risk`; if there is none, the one with the lowest bound.

    Faces with equal confidence are answered together. Raises ValueError without faces.
    """
    confidence, right = _confidence(probabilities, truth)
    levels, level, faces = np.unique(-confidence, return_inverse=True, return_counts=True)
    answered, wrong = np.cumsum(faces), np.cumsum(np.bincount(level, ~right))
    bound = (wrong + 1) / (answered + 1)
    good = np.flatnonzero(bound <= risk)
    at = int(good[-1] if len(good) else bound.argmin())
    return Cut(
        confidence=float(-levels[at]),
        coverage=float(answered[at] / len(truth)),
        risk=float(wrong[at] / answered[at]),
        bound=float(bound[at]),
    )


def probabilities(logits: NDArray[np.floating], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N, L) softmax of the logits over the `known` (L,) expressions; 0 for the others.

    Raises ValueError for logits that are not finite, and if no expression is known.
    """
    if not np.isfinite(logits).all():
        broken = int(np.count_nonzero(~np.isfinite(logits).all(axis=1)))
        raise ValueError(f"Logits must be finite numbers; those of {broken:,} of {len(logits):,} faces are not.")
    if not known.any():
        raise ValueError("A probability needs a known expression; there is none.")
    masked = np.where(known, logits.astype(np.float64), -np.inf)
    powers = np.exp(masked - masked.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _confidence(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Each face's highest probability, and whether its expression is correct."""
    refuse_no_faces(truth)
    return np.minimum(probabilities.max(axis=1), 1), probabilities.argmax(axis=1) == truth
