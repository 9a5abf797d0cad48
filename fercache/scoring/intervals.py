"""How sure a score is."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Metric = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""From confusion matrices (..., L, L) to values (...): `metrics.accuracy`, `metrics.uar`, `metrics.macro_f1`."""


_DRAWN_AT_ONCE = 1_000_000
"""Numbers that are held at once where subjects are drawn: some 20 MB."""


def bootstrap_interval(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    metric: Metric,
    *,
    seed: int,
    subjects: NDArray[np.object_] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
) -> tuple[float, float]:
    """The percentile bootstrap interval of `metric`.

    It is stratified by class, each keeps its number of faces; or, with `subjects` (N,), it draws whole subjects, since
    faces of one person are alike. Faces whose subject is "" are each their own. `truth` and `predicted` (N,) index the
    same classes. Raises ValueError without faces.
    """
    refuse_no_faces(truth)
    classes = int(max(truth.max(), predicted.max())) + 1
    cells = truth * classes + predicted
    generator = np.random.default_rng(seed)
    if subjects is None:
        counts = np.bincount(cells, minlength=classes**2).reshape(classes, classes)
        resampled = resampled_rows(counts, generator, resamples)
    else:
        # Counts below 2**24 are exact in float32, and products of such matrices are twice as fast.
        tables = sums_by_subject(subjects, cells, classes**2).astype(np.float32)
        resampled = resampled_sums(tables, generator, resamples).astype(np.int64).reshape(-1, classes, classes)
    return percentiles(metric(resampled), level)


def refuse_no_faces(truth: NDArray[np.int64]) -> None:
    if len(truth) == 0:
        raise ValueError("There is no face to measure on.")


def percentiles(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def resampled_rows(counts: NDArray[np.int64], generator: np.random.Generator, resamples: int) -> NDArray[np.int64]:
    """(K, V) faces by class and outcome -> (resamples, K, V): drawing a class's faces is a multinomial draw."""
    resampled = np.zeros((resamples, *counts.shape), dtype=np.int64)
    for k, row in enumerate(counts):
        if row.any():
            resampled[:, k] = generator.multinomial(row.sum(), row / row.sum(), size=resamples)
    return resampled


def sums_by_subject(subjects: NDArray[np.object_], column: NDArray[np.int64], columns: int) -> NDArray[np.float64]:
    """(S, columns) faces of each subject in each `column` (N,)."""
    subject = numbered_subjects(subjects)
    rows = int(subject.max()) + 1
    return np.bincount(subject * columns + column, minlength=rows * columns).reshape(rows, columns).astype(np.float64)


def numbered_subjects(subjects: NDArray[np.object_]) -> NDArray[np.int64]:
    """(N,) names -> (N,) numbers from 0; faces whose subject is "" are each their own."""
    unnamed = subjects == ""
    names, subject = np.unique(subjects.astype(str), return_inverse=True)
    subject[unnamed] = len(names) + np.arange(np.count_nonzero(unnamed))
    return np.unique(subject, return_inverse=True)[1]  # the unnamed have left an empty one behind


def resampled_sums(table: NDArray[np.floating], generator: np.random.Generator, resamples: int) -> NDArray[np.floating]:
    """(S, D) -> (resamples, D): each the sum of S rows that are drawn with replacement."""
    kinds, alike = np.unique(table, axis=0, return_counts=True)
    # Subjects with one face are of few kinds, and drawn faster by how often each kind comes than one by one.
    few = 10 * len(kinds) < len(table)
    rows = kinds if few else table
    batches = []
    for count in _batches(resamples, size=max(1, _DRAWN_AT_ONCE // len(rows))):
        if few:
            times = generator.multinomial(len(table), alike / len(table), size=count)
        else:
            drawn = (generator.integers(len(table), size=len(table)) for _ in range(count))
            times = np.array([np.bincount(each, minlength=len(table)) for each in drawn])
        batches.append(times.astype(table.dtype) @ rows)
    return np.concatenate(batches)


def _batches(total: int, size: int) -> list[int]:
    """How many there are in each batch: memory is bounded, and products of matrices stay large enough to be fast."""
    return [min(size, total - start) for start in range(0, total, size)]
