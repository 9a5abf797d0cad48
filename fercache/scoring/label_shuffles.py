"""Whether expressions differ by more than chance: a permutation test of labels."""

import numpy as np
from numpy.typing import NDArray


def label_shuffle_test(
    vectors: NDArray[np.floating], truth: NDArray[np.int64], *, seed: int, shuffles: int = 999
) -> tuple[float, float, float]:
    """Whether the expressions' mean vectors are further apart than by chance: (distance, null_mean, p).

    `vectors` (N, D) of faces whose expressions are `truth` (N,). `distance` is the mean Euclidean distance over all
    pairs of expressions with faces, `null_mean` its mean over the shuffles of the labels, and `p` the share of
    labellings, including the true one, that are at least as far apart. Raises ValueError if fewer than two expressions
    have faces.
    """
    present, labels = np.unique(truth, return_inverse=True)
    if len(present) < 2:
        raise ValueError(f"A distance between expressions needs faces of two of them, found {len(present)}.")
    # Centring keeps distances, and the digits of small differences between large numbers.
    centred = (vectors - vectors.mean(axis=0, dtype=np.float64)).astype(np.float32)
    (distance,) = _mean_distances(centred, labels[None])
    generator = np.random.default_rng(seed)
    null = np.concatenate(
        [
            _mean_distances(centred, generator.permuted(np.tile(labels, (count, 1)), axis=1))
            for count in _batches(shuffles, size=32)
        ]
    )
    # A shuffle that changes nothing counts as equal, although its sums round differently.
    as_far = int(np.count_nonzero(null >= distance * (1 - 1e-5)))
    return float(distance), float(null.mean()), (1 + as_far) / (1 + shuffles)


def _mean_distances(vectors: NDArray[np.float32], labellings: NDArray[np.int64]) -> NDArray[np.float64]:
    """(S, N) labellings of (N, D) vectors, each with the same L labels -> (S,) mean distance between the L means."""
    counts = np.bincount(labellings[0])
    members = labellings[:, None, :] == np.arange(len(counts))[:, None]
    sums = members.reshape(-1, len(vectors)).astype(np.float32) @ vectors
    means = sums.reshape(len(labellings), len(counts), -1) / counts[:, None]
    one, other = np.triu_indices(len(counts), k=1)
    distances: NDArray[np.float64] = np.linalg.norm(means[:, one] - means[:, other], axis=2).mean(axis=1)
    return distances


def _batches(total: int, size: int) -> list[int]:
    """Sizes of batches: small enough for memory, large enough for fast matrix products."""
    return [min(size, total - start) for start in range(0, total, size)]
