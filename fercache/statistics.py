"""How sure a score is, and whether expressions differ by more than chance."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Metric = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""From confusion matrices (..., L, L) to values (...): `metrics.accuracy`, `metrics.uar`, `metrics.macro_f1`."""


def bootstrap_interval(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    metric: Metric,
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> tuple[float, float]:
    """The percentile bootstrap interval of `metric`, stratified by class: each keeps its number of faces.

    `truth` and `predicted` (N,) index the same classes. Raises ValueError without faces.
    """
    if len(truth) == 0:
        raise ValueError("There is no face to resample.")
    classes = int(max(truth.max(), predicted.max())) + 1
    # Drawing faces of a class with replacement is a multinomial draw from the class's row of the confusion matrix.
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    support = confusion.sum(axis=1)
    generator = np.random.default_rng(seed)
    resampled = np.zeros((resamples, classes, classes), dtype=np.int64)
    for k in np.flatnonzero(support):
        resampled[:, k] = generator.multinomial(support[k], confusion[k] / support[k], size=resamples)
    tail = (1 - level) / 2
    low, high = np.quantile(metric(resampled), [tail, 1 - tail])
    return float(low), float(high)


def label_shuffle_test(
    vectors: NDArray[np.floating], truth: NDArray[np.int64], *, seed: int, shuffles: int = 999
) -> tuple[float, float, float]:
    """Whether the expressions' mean vectors lie further apart than chance would put them: (distance, null_mean, p).

    `vectors` (N, D) of faces whose expressions are `truth` (N,). `distance` is the mean Euclidean distance over all
    pairs of expressions with faces, `null_mean` its mean over the shuffles of the labels, and `p` the share of
    labellings, the true one among them, that are at least as far apart. Raises ValueError when fewer than two
    expressions have faces.
    """
    present, labels = np.unique(truth, return_inverse=True)
    if len(present) < 2:
        raise ValueError(f"A distance between expressions needs faces of two of them, found {len(present)}.")
    # Distances stay as they are, small differences between large numbers keep their digits, and equal vectors are 0.
    centred = (vectors - vectors.mean(axis=0, dtype=np.float64)).astype(np.float32)
    (distance,) = _mean_distances(centred, labels[None])
    generator = np.random.default_rng(seed)
    null = np.concatenate(
        [
            _mean_distances(centred, generator.permuted(np.tile(labels, (count, 1)), axis=1))
            for count in _batches(shuffles, size=32)
        ]
    )
    # A shuffle that changes nothing is as far, though its sums round differently.
    as_far = int(np.count_nonzero(null >= distance * (1 - 1e-5)))
    return float(distance), float(null.mean()), (1 + as_far) / (1 + shuffles)


def _batches(total: int, size: int) -> list[int]:
    """How many there are in each batch: memory is bounded, and products of matrices stay large enough to be fast."""
    return [min(size, total - start) for start in range(0, total, size)]


def _mean_distances(vectors: NDArray[np.float32], labellings: NDArray[np.int64]) -> NDArray[np.float64]:
    """(S, N) labellings of (N, D) vectors, each with the same L labels -> (S,) mean distance between the L means."""
    counts = np.bincount(labellings[0])
    members = labellings[:, None, :] == np.arange(len(counts))[:, None]
    sums = members.reshape(-1, len(vectors)).astype(np.float32) @ vectors
    means = sums.reshape(len(labellings), len(counts), -1) / counts[:, None]
    one, other = np.triu_indices(len(counts), k=1)
    distances: NDArray[np.float64] = np.linalg.norm(means[:, one] - means[:, other], axis=2).mean(axis=1)
    return distances
