"""How sure a score is."""

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
