"""The percentile bootstrap that records had up to schema 2, to compare with."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fercache.scoring.intervals import Interval

Statistic = Callable[[NDArray[np.int64]], float]
"""From the rows that were drawn to a score."""


def bootstrap(score: Statistic, strata: NDArray[np.int64], seed: int, resamples: int = 200) -> Interval:
    """Draws as many rows of each stratum (N,) as it has, with replacement."""
    generator = np.random.default_rng(seed)
    parts = [np.flatnonzero(strata == each) for each in np.unique(strata)]
    drawn = (np.concatenate([generator.choice(part, len(part)) for part in parts]) for _ in range(resamples))
    low, high = np.quantile([score(rows) for rows in drawn], [0.025, 0.975])
    return float(low), float(high)


def bootstrap_subjects(score: Statistic, subject: NDArray[np.int64], seed: int, resamples: int = 200) -> Interval:
    """Draws as many subjects (N,), numbered from 0, as there are, with all their faces."""
    parts = [np.flatnonzero(subject == each) for each in range(subject.max() + 1)]

    def of_parts(drawn: NDArray[np.int64]) -> float:
        return score(np.concatenate([parts[each] for each in drawn]))

    return bootstrap(of_parts, np.zeros(len(parts), dtype=np.int64), seed, resamples)
