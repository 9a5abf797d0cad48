"""Whether a difference between two methods is more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fercache.scoring.intervals import percentiles, refuse_no_faces, resampled_rows, resampled_sums, sums_by_subject


@dataclass(frozen=True)
class Difference:
    """A difference between two methods, its bootstrap interval, and the two-sided p of there being none."""

    value: float
    low: float
    high: float
    p: float


def mcnemar(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> float:
    """The exact two-sided p of McNemar's test: among faces that one method alone has right, is either ahead?"""
    from scipy.stats import binomtest

    only_a, only_b = np.count_nonzero(right_a & ~right_b), np.count_nonzero(right_b & ~right_a)
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def paired_difference(
    gain: NDArray[np.float64],
    truth: NDArray[np.int64],
    metric: Literal["accuracy", "uar"],
    *,
    seed: int,
    subjects: NDArray[np.object_] | None = None,
    resamples: int = 10_000,
    level: float = 0.95,
) -> Difference:
    """The difference in `metric` between two methods on the same faces, with a percentile bootstrap.

    `gain` (N,) is how much more often the first method was right on a face than the second, from -1 to 1: averaged
    over seeds. What is drawn is what `bootstrap_interval` draws: faces of a class, or whole `subjects`. Raises
    ValueError without faces.
    """
    refuse_no_faces(truth)
    _, class_of, support = np.unique(truth, return_inverse=True, return_counts=True)
    generator = np.random.default_rng(seed)
    if subjects is None:
        sums = np.stack([_resampled_gain(gain[class_of == k], generator, resamples) for k in range(len(support))], 1)
        faces = np.broadcast_to(support, sums.shape)
    else:
        of_class = [sums_by_subject(subjects, class_of, len(support), weights) for weights in (None, gain)]
        faces, sums = np.split(resampled_sums(np.hstack(of_class), generator, resamples), 2, axis=1)
    # Sums of gains that cancel are not quite zero; and zero has no sign.
    values = np.round(_mean_gain(sums, faces, metric), 12) + 0.0
    low, high = percentiles(values, level)
    total = np.bincount(class_of, gain).astype(np.float64)
    (value,) = _mean_gain(total[None], support[None], metric)
    as_far = min(np.count_nonzero(values <= 0), np.count_nonzero(values >= 0))
    return Difference(float(value), low, high, float(min(1, 2 * (1 + as_far) / (1 + resamples))))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """The p values adjusted for there being several, by Holm's step-down method, in their order."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return tuple(map(float, adjusted))


def _resampled_gain(gain: NDArray[np.float64], generator: np.random.Generator, resamples: int) -> NDArray[np.float64]:
    """(resamples,) sums of the gains of a class's faces, drawn with replacement."""
    values, counts = np.unique(gain, return_counts=True)
    return np.asarray(resampled_rows(counts[None], generator, resamples)[:, 0] @ values)


def _mean_gain(
    sums: NDArray[np.float64], faces: NDArray[np.number], metric: Literal["accuracy", "uar"]
) -> NDArray[np.float64]:
    """(R, K) sums of gains, and faces, by class -> (R,) mean over faces, or over the classes that have some."""
    if metric == "accuracy":
        return np.asarray(sums.sum(axis=1) / faces.sum(axis=1))
    return np.asarray((sums / np.maximum(faces, 1)).sum(axis=1) / np.count_nonzero(faces, axis=1))
