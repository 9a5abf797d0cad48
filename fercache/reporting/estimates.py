"""Estimated scores as text, CSV and a figure; and the estimates that known domains would get without their labels."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from statistics import fmean

import pandas as pd

from fercache.datasets import DatasetName
from fercache.reporting.columns import fitted, folded
from fercache.reporting.drawing import Drawing
from fercache.reporting.estimates_figure import Asked, Dot, estimated_against_true
from fercache.scoring.estimates import METRICS, Calibrated, Domain, Estimate, Metric, why_not
from fercache.splits import POOL


@dataclass(frozen=True)
class Estimated:
    """A run's `estimates` on a domain; without any, `why_not` has the reason.

    `estimator` has the least mean absolute `error` in accuracy over the known domains, as a fraction.
    """

    domain: Domain
    estimates: Mapping[Metric, Estimate] = field(default_factory=dict)
    estimator: str = ""
    error: float = 0.0
    why_not: str = ""

    def missed(self, metric: Metric) -> float:
        """How far the estimate is above the true score of a known domain."""
        return self.estimates[metric].value - self.domain.scores[metric]

    def covered(self, metric: Metric) -> bool:
        """Whether the true score of a known domain is within the interval."""
        estimate = self.estimates[metric]
        return estimate.low <= self.domain.scores[metric] <= estimate.high


@dataclass(frozen=True)
class Estimates:
    """The estimates on the `target`, and all known domains of the runs' encoder."""

    target: DatasetName
    runs: tuple[Estimated, ...]
    known: tuple[Domain, ...]


def estimated(domain: Domain, calibrated: Calibrated) -> Estimated:
    """The best estimates for a run on a domain, or why there are none."""
    if reason := why_not(domain, calibrated.known):
        return Estimated(domain, why_not=reason)
    estimator = calibrated.best(domain)
    if estimator is None:
        return Estimated(domain, why_not="too few known domains have the same signals")
    estimates = {metric: calibrated.estimate(domain, metric, estimator) for metric in METRICS}
    return Estimated(domain, estimates, estimator=estimator, error=calibrated.errors[estimator])


class LeftOut:
    """Estimates on the known domains, each as if it and everything related to it had no labels.

    Without source validation, and without the source itself.
    """

    def __init__(self, known: Sequence[Domain]) -> None:
        self.asked = [each for each in known if not each.validation and each.name not in each.source.split(POOL)]
        self.calibrated = cache(lambda images, source: Calibrated(known, images, source))

    @cached_property
    def estimates(self) -> list[Estimated]:
        """The best of every run on every domain."""
        return [estimated(each, self.calibrated(each.images, each.source)) for each in self.asked]

    def errors(self, metric: Metric) -> dict[str, tuple[float, float, float]]:
        """By estimator: mean absolute error in points, share of scores in the interval, and its mean width in points.

        Domains about which nothing is estimated do not count.
        """
        found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
        for each in (best.domain for best in self.estimates if best.estimates):
            calibrated = self.calibrated(each.images, each.source)
            for estimator in calibrated.errors:
                made = Estimated(each, {metric: calibrated.estimate(each, metric, estimator)})
                width = made.estimates[metric].high - made.estimates[metric].low
                found[estimator].append((100 * abs(made.missed(metric)), float(made.covered(metric)), 100 * width))
        return {
            name: (fmean(e), fmean(c), fmean(w))
            for name, rows in found.items()
            for e, c, w in [zip(*rows, strict=True)]
        }


def _means(rows: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    first, second, third = map(fmean, zip(*rows, strict=True))
    return first, second, third


def estimates_table(found: Estimates) -> str:
    """Text of at most WIDTH columns: a line per run with an estimate, and the reasons for the others."""
    lines, width = [], max((len(_short(each.domain)) for each in found.runs), default=0)
    answered = [each for each in found.runs if each.estimates]
    if answered:
        lines += folded(f"Estimates on {found.target}, without its labels; percent [90 % interval].")
        lines.append(f"{'':{width}}  {'accuracy':>16}  {'mean class recall':>17}")
        lines += [
            f"{_short(each.domain):{width}}  {_shown(each.estimates['accuracy']):>16}  "
            f"{_shown(each.estimates['mean_class_recall']):>17}"
            for each in answered
        ]
        for (estimator, error), count in Counter(
            (each.estimator, f"{100 * each.error:.1f}") for each in answered
        ).items():
            lines += folded(f"{count} by {estimator}: off by {error} points in accuracy on known domains left out.")
    for reason, count in Counter(each.why_not for each in found.runs if each.why_not).items():
        runs = "1 run" if count == 1 else f"{count} runs"
        like = f"no labelled dataset in the cache is like {found.target}"
        lines += folded(f"No estimate for {runs}: {like}: {reason}.", indent="")
    if any(each.why_not for each in found.runs):
        lines.append("Label some of its faces instead, or score runs on more targets with labels.")
    return "\n".join(lines)


def _short(domain: Domain) -> str:
    """The run without its encoder; 40 characters hold most."""
    return fitted(domain.run.partition("-")[2] or domain.run, 40)


def _shown(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.0f}–{100 * estimate.high:.0f}]"


def estimates_frame(found: Iterable[Estimated]) -> pd.DataFrame:
    """A row per run and target; scores as fractions, empty where they are unknown or nothing could be estimated."""
    rows = []
    for each in found:
        domain = each.domain
        row: dict[str, object] = {"run": domain.run, "source": domain.source, "target": domain.name}
        row |= {"faces": domain.faces}
        for metric in METRICS:
            estimate = each.estimates.get(metric)
            row |= {f"true_{metric}": domain.scores.get(metric), f"estimated_{metric}": estimate and estimate.value}
            row |= {f"{metric}_low": estimate and estimate.low, f"{metric}_high": estimate and estimate.high}
        rows.append(row | {"estimator": each.estimator, "error": each.error or None, "why_not": each.why_not})
    return pd.DataFrame(rows)


def estimates_drawing(found: Estimates) -> Drawing:
    """The figure of a target: known domains left out, and the target's intervals."""
    return estimates_figure(LeftOut(found.known).estimates, found.runs, str(found.target))


def estimates_figure(known: Iterable[Estimated], asked: Iterable[Estimated], target: str = "") -> Drawing:
    """Estimated against true accuracy of known domains, with the intervals of runs on the `target`."""
    dots = [
        Dot(each.domain.head, each.domain.source, 100 * each.estimates["accuracy"].value, true=_true(each))
        for each in known
        if each.estimates
    ]
    lines = [
        Asked(each.domain.head, each.domain.source, 100 * e.value, low=100 * e.low, high=100 * e.high)
        for each in asked
        if (e := each.estimates.get("accuracy"))
    ]
    error = f"Mean absolute error {fmean(abs(dot.estimated - dot.true) for dot in dots):.1f} points." if dots else ""
    about = f", and the intervals on {target}" if lines else ""
    described = f"Estimated against true accuracy of {len(dots)} runs on known domains left out{about}. {error}"
    return estimated_against_true(dots, lines, described.strip())


def _true(each: Estimated) -> float:
    return 100 * each.domain.scores["accuracy"]
