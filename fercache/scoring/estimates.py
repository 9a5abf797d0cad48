"""Accuracy on a domain without labels, estimated from domains with labels.

Every estimator is a ridge regression of logit accuracy (or logit mean class recall) on signals that need no label, over
all runs on all known domains that have nothing to do with the domain in question. What an estimator is worth is
measured in the same way: each known domain is left out once, with everything related to it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

LEVEL: Final = 0.9
RIDGE: Final = 0.1
"""Ridge in units of a standardised signal's sum of squares."""
FEWEST_DOMAINS: Final = 3
"""Unrelated known domains, below which nothing is estimated."""
FARTHEST: Final = 2.0
"""A target farther from the source than this multiple of the farthest known domain is like none of them."""
_LIMIT = 0.005
"""Shares are kept this far from 0 and 1 on the logit scale."""

Metric = Literal["accuracy", "mean_class_recall"]
METRICS: Final[tuple[Metric, ...]] = ("accuracy", "mean_class_recall")

SHARES = ("difference of confidences", "thresholded confidence", "agreement", "dispersity", "steadiness", "confidence")
"""Signals between 0 and 1, which enter as logits."""
PLAIN = ("spread", "Fréchet distance", "A-distance", "norm ratio", "MMD")
"""Signals that enter as they are; the Fréchet distance as the logarithm of one plus it, the MMD as its root."""
DRIFT = ("Fréchet distance", "A-distance", "norm ratio")
COMBINED = ("dispersity", "agreement", "steadiness")
COMMITTEE = (*COMBINED, "spread", "norm ratio", "thresholded confidence", "Fréchet distance", "confidence")

ESTIMATORS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "difference of confidences": (("difference of confidences",),),
    "thresholded confidence": (("thresholded confidence",),),
    "agreement": (("agreement",),),
    "drift": (DRIFT,),
    "drift with MMD": ((*DRIFT, "MMD"),),
    "dispersity": (("dispersity",),),
    "self-training": (("steadiness",),),
    "three signals": (COMBINED,),
    "committee": tuple(combinations(COMMITTEE, 3)),
}
"""The signals of each estimator's regressions; of several regressions, the mean of the logits counts."""


@dataclass(frozen=True)
class Domain:
    """A run on a domain: label-free `signals` by name, and its scores if the labels of the domain are known.

    Domains with the same `images` are related: they show the same faces, corrupted or not. `source` is what the run was
    trained on, `source_images` the images of its datasets; `validation`: the domain is the run's source validation.
    """

    run: str
    head: str
    name: str
    images: str
    source: str
    source_images: frozenset[str]
    faces: int
    signals: Mapping[str, float]
    scores: Mapping[Metric, float] = field(default_factory=dict)
    validation: bool = False


@dataclass(frozen=True)
class Estimate:
    """An estimated score and its 90 % interval."""

    value: float
    low: float
    high: float


def usable(known: Iterable[Domain], images: str, source: str) -> list[Domain]:
    """The known domains for a question about a run of `source` on a domain with these `images`.

    Without everything related to it: domains with the same images, and runs that were trained on them. If the source
    itself is related, its own runs and their source validation stay, which exist in any case.
    """
    return [each for each in known if _is_usable(each, images, source)]


def _is_usable(domain: Domain, images: str, source: str) -> bool:
    own = domain.source == source
    return (domain.images != images or (domain.validation and own)) and (images not in domain.source_images or own)


def why_not(target: Domain, known: Sequence[Domain]) -> str:
    """Why nothing is estimated from the `usable` known domains; empty if it can be."""
    names = sorted({each.images: each.name.partition("+")[0] for each in known}.values())
    if len(names) < FEWEST_DOMAINS:
        found = f": {', '.join(names)}" if names else ""
        return f"{len(names)} unrelated known domains{found}; {FEWEST_DOMAINS} are needed"
    if not np.isfinite(_drift(target)):
        return "its distance from the source is unknown: it has too few faces, or the source is not in the cache"
    if _is_far(target, farthest := _farthest(known, target.source)):
        return (
            f"its Fréchet distance from {target.source} is {_drift(target):.1f}, "
            f"that of known domains at most {farthest:.1f}"
        )
    return ""


def _drift(domain: Domain) -> float:
    return domain.signals.get("Fréchet distance", float("nan"))


def _farthest(known: Iterable[Domain], source: str) -> float:
    """The largest drift of the known domains from a source."""
    return max((_drift(each) for each in known if each.source == source), default=0.0)


def _is_far(target: Domain, farthest: float) -> bool:
    """Whether the target is much farther from its source than every known domain, or its distance is unknown."""
    return not _drift(target) <= FARTHEST * farthest


class Calibrated:
    """The estimators for questions about runs of `source` on a domain with these `images`, from `known` domains.

    `errors` are the mean absolute errors in accuracy of the estimators over the known domains, each left out once.
    """

    def __init__(self, known: Iterable[Domain], images: str, source: str) -> None:
        self.known = usable(known, images, source)
        self._tables = {name: _Table.of(self.known, name) for name in ESTIMATORS}
        self._residuals = {name: found for name, table in self._tables.items() if (found := _left_out(name, table))}
        self.errors = {name: found["accuracy"].error for name, found in self._residuals.items()}

    def best(self, target: Domain) -> str | None:
        """The estimator with the least error of those whose signals the target has; None if there is none."""
        there = [name for name in self.errors if _has(target, name)]
        return min(there, key=lambda name: self.errors[name], default=None)

    def estimate(self, target: Domain, metric: Metric, estimator: str) -> Estimate:
        """An estimated score of the target by one of the estimators in `errors`."""
        asked = _Table.of([target], estimator)
        centre = float(_predicted(self._tables[estimator], asked, estimator, metric=metric)[0])
        share = float(expit(centre))
        # The variance of the logit of a share of so many faces.
        sampled = 1 / (target.faces * max(share * (1 - share), _LIMIT))
        variance = self._residuals[estimator][metric].variance * float(_strangeness(self._tables[estimator], asked)[0])
        reach = ndtri((1 + LEVEL) / 2) * np.sqrt(variance + sampled)
        return Estimate(share, float(expit(centre - reach)), float(expit(centre + reach)))


@dataclass(frozen=True)
class Residuals:
    """Errors on left-out domains: `variance` of the logit for a domain of `_strangeness` 1, and mean absolute `error`.

    Both are means over sets of images.
    """

    variance: float
    error: float

    @classmethod
    def of(cls, found: Iterable[NDArray[np.float64]]) -> "Residuals":
        """From estimated and true logits, and strangeness, (3, N) for each set of images."""
        found = list(found)
        squares = [np.mean((estimated - true) ** 2 / strange) for estimated, true, strange in found]
        errors = [np.mean(np.abs(expit(estimated) - expit(true))) for estimated, true, _ in found]
        return cls(float(np.mean(squares)), float(np.mean(errors)))


@dataclass(frozen=True)
class _Table:
    """N domains that have all signals of an estimator: (N, K) `columns` of them, and the logits (N,) of the scores.

    `gap` (N,) is how much higher the logit of accuracy is than that of mean class recall, by the head's probabilities.
    """

    domains: Sequence[Domain]
    columns: NDArray[np.float64]
    scores: Mapping[Metric, NDArray[np.float64]]
    gap: NDArray[np.float64]

    @classmethod
    def of(cls, domains: Iterable[Domain], estimator: str) -> "_Table":
        """The domains that have all signals; scores that are unknown are NaN."""
        there = [each for each in domains if _has(each, estimator)]

        def column(name: str) -> NDArray[np.float64]:
            return np.array([each.signals[name] for each in there])

        scores = {m: _logit(np.array([each.scores.get(m, np.nan) for each in there])) for m in METRICS}
        columns = [_scaled(name, column(name)) for name in signals_of(estimator)]
        return cls(there, np.column_stack(columns), scores, gap=_logit(column("confidence")) - _logit(column("recall")))

    def take(self, rows: NDArray[np.bool_]) -> "_Table":
        """The domains where `rows` (N,) is true."""
        kept = [each for each, keep in zip(self.domains, rows, strict=True) if keep]
        scores = {metric: values[rows] for metric, values in self.scores.items()}
        return _Table(kept, self.columns[rows], scores, gap=self.gap[rows])


def _left_out(estimator: str, table: _Table) -> dict[Metric, Residuals] | None:
    """The residuals on the known domains of the table, each left out with its relatives; None for fewer than two.

    Domains about which nothing would be estimated do not count.
    """
    left_out: dict[Metric, dict[str, list[NDArray[np.float64]]]] = {metric: defaultdict(list) for metric in METRICS}
    for images, source in sorted({(each.images, each.source) for each in table.domains}):
        rest = table.take(np.array([_is_usable(each, images, source) for each in table.domains]))
        farthest = _farthest(rest.domains, source)
        asked = table.take(
            np.array(
                [
                    (each.images, each.source, each.validation) == (images, source, False)
                    and not _is_far(each, farthest)
                    for each in table.domains
                ]
            )
        )
        if asked.domains and len({each.images for each in rest.domains}) > 1:
            for metric in METRICS:
                estimated = _predicted(rest, asked, estimator, metric=metric)
                left_out[metric][images].append(np.stack([estimated, asked.scores[metric], _strangeness(rest, asked)]))
    if len(left_out["accuracy"]) < 2:
        return None
    return {
        metric: Residuals.of(np.concatenate(each, axis=1) for each in by_images.values())
        for metric, by_images in left_out.items()
    }


def _predicted(known: _Table, asked: _Table, estimator: str, metric: Metric) -> NDArray[np.float64]:
    """The logits (M,) of the scores of the `asked` domains.

    For mean class recall, the regressions explain the logit without the `gap`, which is then subtracted.
    """
    gaps = (known.gap, asked.gap) if metric == "mean_class_recall" else (0.0, 0.0)
    truth, weights, names = known.scores[metric] + gaps[0], _weights(known.domains), signals_of(estimator)
    ours, theirs, products = _standardised(known, asked)
    level = weights @ truth
    answers = ours.T @ (weights * (truth - level))
    found = []
    for regression in ESTIMATORS[estimator]:
        at = [names.index(name) for name in regression]
        found.append(level + theirs[:, at] @ np.linalg.solve(products[np.ix_(at, at)], answers[at]))
    return np.asarray(np.mean(found, axis=0) - gaps[1])


def _strangeness(known: _Table, asked: _Table) -> NDArray[np.float64]:
    """(M,) the factor by which the variance of a prediction exceeds that of the regression's errors: 1 amid the known
    domains, more for signals, or combinations of signals, that are unlike theirs (one plus the leverage)."""
    _, theirs, products = _standardised(known, asked)
    return np.asarray(1 + (theirs * np.linalg.solve(products, theirs.T).T).sum(axis=1))


def _standardised(known: _Table, asked: _Table) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The standardised signals (N, K) and (M, K), and the products (K, K) of the known ones, with the ridge."""
    weights = _weights(known.domains)
    mean = weights @ known.columns
    scale = np.sqrt(weights @ (known.columns - mean) ** 2) + 1e-6
    ours, theirs = (known.columns - mean) / scale, (asked.columns - mean) / scale
    return ours, theirs, ours.T @ (weights[:, None] * ours) + RIDGE * np.eye(ours.shape[1])


def _weights(known: Sequence[Domain]) -> NDArray[np.float64]:
    """(N,) weights that add up to one, with equal sums for all sets of related images of each source."""
    places = [(each.source, each.images, each.validation) for each in known]
    counts = Counter(places)
    weights = np.array([1 / counts[place] for place in places])
    return np.asarray(weights / weights.sum())


@cache
def signals_of(estimator: str) -> tuple[str, ...]:
    """The signals that an estimator needs."""
    return tuple(dict.fromkeys(name for regression in ESTIMATORS[estimator] for name in regression))


def _has(domain: Domain, estimator: str) -> bool:
    return all(np.isfinite(domain.signals.get(name, np.nan)) for name in signals_of(estimator))


def _scaled(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A signal on the scale of the regression."""
    if name in SHARES:
        return _logit(values)
    if name == "MMD":
        return np.sqrt(np.maximum(values, 0))
    return np.log1p(values) if name == "Fréchet distance" else values


def _logit(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(shares, _LIMIT, 1 - _LIMIT)))
