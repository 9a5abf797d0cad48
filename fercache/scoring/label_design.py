"""Which faces to label: those that say most about the scores of runs, or those that a head learns most from."""

import numpy as np
from numpy.typing import NDArray

from fercache.identity import seed_from

DOUBT = 0.1
"""Share of a flat distribution in every posterior: a confident run may be wrong, so no face is left out."""
_LEVELS = 5
"""Levels of confidence in a stratum's definition."""


def inclusion_probabilities(
    posterior: NDArray[np.float64], predicted: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    """(N,) probabilities, with sum `count`, of drawing each face to estimate accuracy and mean class recall of R runs.

    `posterior` (N, L) are the probabilities of expressions, as far as they are known without labels; `predicted` (R, N)
    are the runs' answers. Proportional to a face's expected influence on the scores (optimal allocation, Neyman 1934),
    the root mean square of both scores and all runs. Every face has a probability above 0.
    """
    faces, classes = posterior.shape
    if count >= faces:
        return np.ones(faces)
    likely = (1 - DOUBT) * posterior + DOUBT / classes
    accuracy, recall = np.zeros(faces), np.zeros(faces)
    for answers in predicted:
        right = np.zeros_like(likely)
        right[np.arange(faces), answers] = 1
        accuracy += _variance(right, likely)
        recalls = (likely * right).sum(axis=0) / likely.sum(axis=0)
        recall += _variance((right - recalls) / likely.sum(axis=0), likely)
    influence = np.sqrt(sum(each / np.mean(np.sqrt(each)) ** 2 for each in (accuracy, recall)))
    return _capped(influence, count)


def _variance(values: NDArray[np.float64], likely: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) variances of (N, L) values by expression."""
    return np.asarray((likely * values**2).sum(axis=1) - (likely * values).sum(axis=1) ** 2)


def _capped(size: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """(N,) probabilities with sum `count`, proportional to `size` up to 1."""
    certain = np.zeros(len(size), dtype=bool)
    while True:
        share = np.where(certain, 1, (count - certain.sum()) * size / size[~certain].sum())
        if (share <= 1).all():
            return share
        certain |= share >= 1


def strata(expression: NDArray[np.int64], confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N,) numbers of the strata: by predicted `expression`, then by `confidence` in five levels."""
    level = np.minimum((confidence * _LEVELS).astype(np.int64), _LEVELS - 1)
    return expression * _LEVELS + level


def draw(inclusion: NDArray[np.float64], stratum: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The rows of a random sample with the given `inclusion` probabilities (N,), in random order.

    Systematic sampling over faces ordered by `stratum` (N,), at random within each (Madow 1949): every stratum has its
    share of the sample, up to one face. The first labels of the list are a sample as well, since its order is random.
    """
    generator = np.random.default_rng(seed)
    order = np.lexsort((generator.random(len(inclusion)), stratum))
    reached = np.cumsum(inclusion[order])
    places = np.searchsorted(reached, np.arange(round(reached[-1])) + generator.random(), side="right")
    return np.asarray(generator.permutation(order[np.minimum(places, len(order) - 1)]))


def worth_learning(
    features: NDArray[np.floating], posterior: NDArray[np.float64], count: int, seed: int
) -> NDArray[np.int64]:
    """The rows of `count` uncertain and diverse faces, as many of each predicted expression as there are, if possible.

    Within an expression: the faces nearest to the centres of k-means over normalised `features` (N, D), weighted by
    uncertainty (Zhdanov, "Diverse mini-batch Active Learning", 2019), here 1 minus the margin of the two highest
    probabilities.
    """
    unit = features.astype(np.float64)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    ordered = np.sort(posterior, axis=1)
    unsure = 1 - (ordered[:, -1] - ordered[:, -2]) * (1 - DOUBT)
    answer = posterior.argmax(axis=1)
    quotas = _quotas(np.bincount(answer, minlength=posterior.shape[1]), count)
    chosen = []
    for expression, quota in enumerate(quotas):
        rows = np.flatnonzero(answer == expression)
        if quota:
            chosen.append(rows[_central(unit[rows], unsure[rows], quota, seed=seed_from(seed, expression))])
    return np.random.default_rng(seed).permutation(np.concatenate(chosen))


def _quotas(available: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The most equal numbers with sum `count` (or as many as there are) that do not exceed those `available`."""
    quotas = np.zeros_like(available)
    for _ in range(min(count, int(available.sum()))):
        open_ones = np.where(quotas < available, quotas, count + 1)
        quotas[open_ones.argmin()] += 1
    return quotas


def _central(unit: NDArray[np.float64], weight: NDArray[np.float64], count: int, seed: int) -> NDArray[np.int64]:
    """`count` different rows, each the nearest to a centre that is not taken by another centre."""
    if count >= len(unit):
        return np.arange(len(unit))
    from sklearn.cluster import KMeans

    means = KMeans(count, n_init=1, random_state=seed % 2**32).fit(unit, sample_weight=weight)
    distance = means.transform(unit)
    taken: list[int] = []
    for centre in range(count):
        distance[taken, centre] = np.inf
        taken.append(int(distance[:, centre].argmin()))
    return np.array(taken)
