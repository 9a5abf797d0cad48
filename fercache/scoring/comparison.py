"""Whether a difference between two methods exceeds chance: of the faces, of the seeds, and of the targets.

A run's score is a mean over units (faces, whole subjects, or targets), and a method's a mean over its runs. Both are
samples: other faces, and other seeds, would have given other means. With crossed random effects, the difference of two
methods has the variance

    units + seeds of A / S_A + seeds of B / S_B - what units and seeds count twice,

where "units" is that of the gain averaged over seeds, and "seeds" that of the runs' scores. Both contain the
interaction of units and seeds, so it is subtracted once (as for two-way clusters: Cameron, Gelbach & Miller 2011, eq.
2.3). The remaining contribution of a method's seeds is at least zero. Degrees of freedom are Welch's and
Satterthwaite's, with S - 1 for a method's seeds. Seeds are not paired: with 3 or 5 seeds, pairing costs more degrees of
freedom than it saves variance, unless the methods' scores correlate over seeds by more than about 0.6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from fercache.scoring.intervals import numbered_subjects, refuse_no_faces

About = Literal["methods", "trained models"]
LEVEL: Final = 0.95
POWER: Final = 0.8
_BORROWED: Final = 2
"""Degrees of freedom that pull the variance within a class towards that of all classes: two faces with the same result
do not prove zero variance."""


@dataclass(frozen=True)
class Difference:
    """A difference, its 95 % interval, and its two-sided p value.

    `smallest` is the smallest detectable difference: with a power of 80 %, at a level of 5 %. The statement is `about`
    methods if every random part of them was drawn more than once, else about the trained models alone.
    """

    value: float
    low: float
    high: float
    p: float
    df: float
    smallest: float
    about: About


@dataclass(frozen=True)
class Runs:
    """One method: `values` (S, N) of its runs, one per seed, on the same units. Not `seeded`: nothing is random."""

    values: NDArray[np.float64]
    seeded: bool = True

    def scores(self, units: "Units") -> NDArray[np.float64]:
        """(S, 1) the score of each run: one column of a summary over targets."""
        return np.asarray(self.values @ units.weight)[:, None]

    @property
    def one_of_many(self) -> bool:
        """Whether another seed would give another model, with unknown variance."""
        return self.seeded and len(self.values) == 1


@dataclass(frozen=True)
class Units:
    """The sampled units: `weight` (N,) of each in the score, adding up to 1, and its `stratum` (N,).

    Weights are equal within a stratum. Units of a `cluster` (N,) are sampled together. `flips` is added to the squared
    gains between two runs, since unobserved gains are not impossible.
    """

    weight: NDArray[np.float64]
    stratum: NDArray[np.int64]
    cluster: NDArray[np.int64] | None = None
    flips: float = 0.0

    @cached_property
    def size(self) -> NDArray[np.int64]:
        """(K,) number of units in each stratum."""
        return np.bincount(self.stratum)

    def centred(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., N) minus the mean of their stratum."""
        rows = values.reshape(-1, len(self.stratum))
        means = np.stack([np.bincount(self.stratum, row) / self.size for row in rows])
        return np.asarray((rows - means[:, self.stratum]).reshape(values.shape))

    def variance(
        self, squares: NDArray[np.float64], added: NDArray[np.float64] | float = 0.0
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(..., K) sums of squares within strata -> the variance of the weighted mean, and its degrees of freedom.

        `added` (...) is distributed over the strata by their size.
        """
        size, free = self.size, self.size - 1
        weight = np.bincount(self.stratum, self.weight)  # per stratum
        squares = squares + np.asarray(added)[..., None] * size / size.sum()
        of_all = max(int(free.sum()), 1)
        pooled = squares.sum(axis=-1, keepdims=True) / of_all
        parts = weight**2 * (squares + _BORROWED * pooled) / (free + _BORROWED) / size
        variance = parts.sum(axis=-1)
        spread = (parts**2 * free / (free + _BORROWED) ** 2).sum(axis=-1)
        return variance, np.minimum(_ratio(variance**2, spread), of_all)

    def clustered(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., N) centred values -> (..., G) contributions of clusters to the mean; their squares sum to its variance.

        With the small-sample factor of cluster-robust variances, G / (G - 1).
        """
        assert self.cluster is not None
        rows = (values * self.weight).reshape(-1, len(self.cluster))
        sums = np.stack([np.bincount(self.cluster, row) for row in rows])
        count = sums.shape[1]
        return np.asarray((sums * np.sqrt(count / max(count - 1, 1))).reshape(*values.shape[:-1], count))


def face_units(
    truth: NDArray[np.int64],
    metric: Literal["accuracy", "mean_class_recall"],
    subjects: NDArray[np.object_] | None = None,
) -> Units:
    """Faces (N,) of the expressions `truth`: sampled freely for accuracy, within each expression for the mean recall.

    With `subjects` (N,) whole subjects are sampled; each face whose subject is "" is its own subject. Raises ValueError
    without faces.
    """
    refuse_no_faces(truth)
    cluster = None if subjects is None else numbered_subjects(subjects)
    if metric == "accuracy":
        return Units(np.full(len(truth), 1 / len(truth)), np.zeros(len(truth), np.int64), cluster, flips=1)
    _, stratum, size = np.unique(truth, return_inverse=True, return_counts=True)
    return Units(1 / (len(size) * size[stratum]), stratum, cluster, flips=1)  # half a flip each way: Agresti & Min 2005


def target_units(count: int) -> Units:
    """Targets, with equal weights."""
    return Units(np.full(count, 1 / count), np.zeros(count, np.int64))


@dataclass(frozen=True)
class Differences:
    """Differences between all pairs of M methods: arrays are (M, M), rows minus columns."""

    value: NDArray[np.float64]
    variance: NDArray[np.float64]
    of_units: NDArray[np.float64]
    df: NDArray[np.float64]
    about_methods: NDArray[np.bool_]

    @cached_property
    def p(self) -> NDArray[np.float64]:
        """Two-sided p values."""
        from scipy.stats import t

        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.abs(self.value) / np.sqrt(self.variance)
        return np.where(self.value == 0, 1.0, 2 * t.sf(far, self.df))

    def to(self, b: int) -> list[Difference]:
        """Differences of each method to method `b`, by index."""
        from scipy.stats import t

        value, df, deviation = self.value[:, b], self.df[:, b], np.sqrt(self.variance[:, b])
        half = t.ppf((1 + LEVEL) / 2, df) * deviation
        smallest = half + t.ppf(POWER, df) * deviation
        columns = (value, value - half, value + half, self.p[:, b], df, smallest)
        about: list[About] = ["methods" if known else "trained models" for known in self.about_methods[:, b]]
        return [Difference(*row) for row in zip(*(column.tolist() for column in columns), about, strict=True)]

    def between(self, a: int, b: int) -> Difference:
        """The difference of method `a` to method `b`, by index."""
        return self.to(b)[a]


def difference(a: Runs, b: Runs, units: Units) -> Difference:
    """The difference of `a` to `b` on the same units."""
    return all_differences([a, b], units).between(0, 1)


def all_differences(methods: Sequence[Runs], units: Units, least: NDArray[np.float64] | None = None) -> Differences:
    """Differences of all pairs of methods on the same units; each method's part is computed once.

    `least` (M, M) bounds the variance of the units from below. If a seeded method has one run, only units are sampled.
    """
    means = [runs.scores(units) for runs in methods]
    score = np.array([mean.mean() for mean in means])
    of_units, df_units = _of_units(methods, units)
    if least is not None:
        of_units = np.maximum(of_units, least)
    own = np.array([_seeds_alone(runs.values, units) for runs in methods])
    known = ~np.array([runs.one_of_many for runs in methods])
    about_methods = known[:, None] & known
    variance = of_units + np.where(about_methods, _sum(own), 0)
    free = np.array([max(len(mean) - 1, 1) for mean in means])
    spread = of_units**2 / df_units + np.where(about_methods, _sum(own**2 / free), 0)
    df = np.where(spread > 0, _ratio(variance**2, spread), df_units)
    value = np.round(score[:, None] - score, 12) + 0.0  # rounds cancelled gains to zero, and removes its sign
    return Differences(value, variance, of_units, df=df, about_methods=about_methods)


def mcnemar(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> float:
    """The exact two-sided p of McNemar's test, over the faces that only one of the models has right."""
    only_a, only_b = np.count_nonzero(right_a & ~right_b), np.count_nonzero(right_b & ~right_a)
    return 1.0 if only_a == only_b else 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """The p values adjusted for multiple tests by Holm's step-down method, in their order."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return tuple(map(float, adjusted))


def _of_units(methods: Sequence[Runs], units: Units) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(M, M) variances of the gains' means over sampled units, gains averaged over seeds; and degrees of freedom."""
    centred = units.centred(np.stack([runs.values.mean(axis=0) for runs in methods]))
    places = [np.flatnonzero(units.stratum == k) for k in range(len(units.size))]
    squares = np.stack([_squares(centred[:, place]) for place in places], axis=-1)
    by_seeds = np.array([1 / len(runs.values) for runs in methods])  # one run that flips counts less by as much
    variance, df = units.variance(squares, units.flips * _sum(by_seeds) / 2)
    if units.cluster is None:
        return variance, df
    # Faces of one person correlate positively, never negatively: independence gives the least variance.
    sums = units.clustered(centred)
    return np.maximum(_squares(sums), variance), np.minimum(df, max(sums.shape[1] - 1, 1))


def _seeds_alone(values: NDArray[np.float64], units: Units) -> float:
    """(S, N) -> the variance of a method's score over seeds, beyond that on single units."""
    seeds = len(values)
    if seeds == 1:
        return 0.0
    return max(float((values @ units.weight).var(ddof=1)) - _interaction(values, units), 0.0) / seeds


def _interaction(values: NDArray[np.float64], units: Units) -> float:
    """(S, N) -> the variance of a run's score from different results of seeds on single units."""
    left = units.centred(values - values.mean(axis=0))
    free = len(values) - 1
    squares = np.bincount(units.stratum, (left**2).sum(axis=0)) / free
    one_by_one = float(units.variance(squares)[0])
    return one_by_one if units.cluster is None else max(one_by_one, float((units.clustered(left) ** 2).sum()) / free)


def _squares(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, N) -> (M, M) squared distances of the rows."""
    products = rows @ rows.T
    own = products.diagonal()
    return np.maximum(own[:, None] + own - 2 * products, 0)


def _sum(of_methods: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M,) -> (M, M) sums over both methods."""
    return np.asarray(of_methods[:, None] + of_methods)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Division, infinite for a zero divisor."""
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.inf), where=np.asarray(below) > 0))
