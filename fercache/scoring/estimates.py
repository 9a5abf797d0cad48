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

Metric = Literal["accuracy", "uar"]
METRICS: Final[tuple[Metric, ...]] = ("accuracy", "uar")

SHARES = ("difference of confidences", "thresholded confidence", "agreement", "dispersity", "steadiness", "confidence")
"""Signals between 0 and 1, which enter as logits."""
PLAIN = ("spread", "Fréchet distance", "A-distance", "norm ratio")
"""Signals that enter as they are; the Fréchet distance as the logarithm of one plus it."""
DRIFT = ("Fréchet distance", "A-distance", "norm ratio")
COMBINED = ("dispersity", "agreement", "steadiness")
COMMITTEE = (*COMBINED, "spread", "norm ratio", "thresholded confidence", "Fréchet distance", "confidence")

ESTIMATORS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "difference of confidences": (("difference of confidences",),),
    "thresholded confidence": (("thresholded confidence",),),
    "agreement": (("agreement",),),
    "drift": (DRIFT,),
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
    return [
        each
        for each in known
        if (each.images != images or (each.validation and each.source == source))
        and (images not in each.source_images or each.source == source)
    ]


def why_not(target: Domain, known: Sequence[Domain]) -> str:
    """Why nothing is estimated from the `usable` known domains; empty if it can be."""
    names = sorted({each.images for each in known})
    if len(names) < FEWEST_DOMAINS:
        found = f": {', '.join(names)}" if names else ""
        return f"{len(names)} unrelated known domains{found}; {FEWEST_DOMAINS} are needed"
    if not np.isfinite(_drift(target)):
        return "its distance from the source is unknown: it has too few faces, or the source is not in the cache"
    if _is_far(target, known):
        farthest = max(_drift(each) for each in known if each.source == target.source)
        return (
            f"its Fréchet distance from {target.source} is {_drift(target):.1f}, "
            f"that of known domains at most {farthest:.1f}"
        )
    return ""


def _drift(domain: Domain) -> float:
    return domain.signals.get("Fréchet distance", float("nan"))


def _is_far(target: Domain, known: Iterable[Domain]) -> bool:
    """Whether the target is much farther from its source than every known domain, or its distance is unknown."""
    farthest = max((_drift(each) for each in known if each.source == target.source), default=0.0)
    return not _drift(target) <= FARTHEST * farthest


class Calibrated:
    """The estimators for questions about runs of `source` on a domain with these `images`, from `known` domains.

    `errors` are the mean absolute errors in accuracy of the estimators over the known domains, each left out once.
    """

    def __init__(self, known: Iterable[Domain], images: str, source: str) -> None:
        self.known = usable(known, images, source)
        self._residuals = {metric: self._left_out(metric) for metric in METRICS}
        self.errors = {name: found.error for name, found in self._residuals["accuracy"].items()}

    def best(self, target: Domain) -> str | None:
        """The estimator with the least error of those whose signals the target has; None if there is none."""
        there = [name for name in self.errors if _has(target, name)]
        return min(there, key=lambda name: self.errors[name], default=None)

    def estimate(self, target: Domain, metric: Metric, estimator: str) -> Estimate:
        """An estimated score of the target by one of the estimators in `errors`."""
        centre = float(_predicted(estimator, self.known, [target], metric=metric)[0])
        share = float(expit(centre))
        # The variance of the logit of a share of so many faces.
        sampled = 1 / (target.faces * max(share * (1 - share), _LIMIT))
        reach = ndtri((1 + LEVEL) / 2) * np.sqrt(self._residuals[metric][estimator].variance + sampled)
        return Estimate(share, float(expit(centre - reach)), float(expit(centre + reach)))

    def _left_out(self, metric: Metric) -> dict[str, "Residuals"]:
        """By estimator, the residuals on all known domains, each left out with its relatives.

        Domains about which nothing would be estimated do not count. Without estimators that too few domains serve.
        """
        found = {}
        for estimator in ESTIMATORS:
            known = [each for each in self.known if _has(each, estimator)]
            pairs = defaultdict(list)
            for images, source in sorted({(each.images, each.source) for each in known}):
                rest = usable(known, images, source)
                asked = [each for each in known if (each.images, each.source) == (images, source)]
                asked = [each for each in asked if not each.validation and not _is_far(each, rest)]
                if asked and len({each.images for each in rest}) > 1:
                    predicted = _predicted(estimator, rest, asked, metric=metric)
                    pairs[images] += list(zip(predicted, _scores(asked, metric), strict=True))
            if len(pairs) > 1:
                found[estimator] = Residuals.of(pairs.values())
        return found


@dataclass(frozen=True)
class Residuals:
    """Errors on left-out domains: `variance` of the logit and mean absolute `error`, both means over sets of images."""

    variance: float
    error: float

    @classmethod
    def of(cls, by_images: Iterable[Sequence[tuple[float, float]]]) -> "Residuals":
        """From pairs of estimated and true logits, by the images of the domain."""
        pairs = [np.array(each) for each in by_images]
        squares = [np.mean((each[:, 0] - each[:, 1]) ** 2) for each in pairs]
        errors = [np.mean(np.abs(expit(each[:, 0]) - expit(each[:, 1]))) for each in pairs]
        return cls(float(np.mean(squares)), float(np.mean(errors)))


@cache
def signals_of(estimator: str) -> tuple[str, ...]:
    """The signals that an estimator needs."""
    return tuple(dict.fromkeys(name for regression in ESTIMATORS[estimator] for name in regression))


def _has(domain: Domain, estimator: str) -> bool:
    return all(np.isfinite(domain.signals.get(name, np.nan)) for name in signals_of(estimator))


def _predicted(estimator: str, known: Sequence[Domain], asked: Sequence[Domain], metric: Metric) -> NDArray[np.float64]:
    """The logits (M,) of the scores of the `asked` domains; every set of related known images has the same weight."""
    known = [each for each in known if _has(each, estimator)]
    names = signals_of(estimator)
    ours, theirs, truth = _columns(known, names), _columns(asked, names), _truth(known, metric)
    weights = _weights(known)
    mean, level = weights @ ours, weights @ truth
    scale = np.sqrt(weights @ (ours - mean) ** 2) + 1e-6
    standardised, wanted = (ours - mean) / scale, (theirs - mean) / scale
    products = standardised.T @ (weights[:, None] * standardised) + RIDGE * np.eye(len(names))
    answers = standardised.T @ (weights * (truth - level))
    found = []
    for regression in ESTIMATORS[estimator]:
        at = [names.index(name) for name in regression]
        found.append(level + wanted[:, at] @ np.linalg.solve(products[np.ix_(at, at)], answers[at]))
    return np.asarray(np.mean(found, axis=0) + _gap(asked, metric))


def _weights(known: Sequence[Domain]) -> NDArray[np.float64]:
    """(N,) equal sums for all sets of related images of a source, which add up to one."""
    places = [(each.source, each.images, each.validation) for each in known]
    counts = Counter(places)
    weights = np.array([1 / counts[place] for place in places])
    return weights / weights.sum()


def _columns(domains: Sequence[Domain], names: Sequence[str]) -> NDArray[np.float64]:
    """(N, K) signals on the scale of the regression."""
    return np.column_stack([_scaled(name, np.array([each.signals[name] for each in domains])) for name in names])


def _scaled(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    if name in SHARES:
        return _logit(values)
    return np.log1p(values) if name == "Fréchet distance" else values


def _truth(domains: Sequence[Domain], metric: Metric) -> NDArray[np.float64]:
    """(N,) what the regressions explain: logit accuracy, or logit mean class recall without the `_gap`."""
    return _scores(domains, metric) - _gap(domains, metric)


def _scores(domains: Sequence[Domain], metric: Metric) -> NDArray[np.float64]:
    return _logit(np.array([each.scores[metric] for each in domains]))


def _gap(domains: Sequence[Domain], metric: Metric) -> NDArray[np.float64]:
    """(N,) how much lower the logit of mean class recall is than that of accuracy, by a head's own probabilities."""
    if metric == "accuracy":
        return np.zeros(len(domains))
    recall, confidence = (np.array([each.signals[name] for each in domains]) for name in ("recall", "confidence"))
    return _logit(recall) - _logit(confidence)


def _logit(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(shares, _LIMIT, 1 - _LIMIT)))
