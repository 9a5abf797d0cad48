"""Unlabelled domains: how well accuracy would have been estimated on each target without its labels."""

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean

from fercache.csv_cells import csv_text
from fercache.reporting.drawing import Drawing
from fercache.reporting.estimates import Estimated, LeftOut, estimates_figure, estimates_frame
from fercache.reporting.known_domains import known_domains
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside
from fercache.scoring.estimates import METRICS, Domain, Metric


@dataclass(frozen=True)
class TargetRow:
    """A target of the runs of one source: means over runs, in percent; without estimates, `why_not` has the reason."""

    source: str
    target: str
    runs: int
    drift: float | None
    true: dict[Metric, float]
    estimated: dict[Metric, float]
    error: float | None
    covered: float | None
    why_not: str


@dataclass(frozen=True)
class EstimatorRow:
    """An estimator over all targets that something can be estimated about, in accuracy: points, percent, points."""

    name: str
    error: float
    covered: float
    width: float


@dataclass(frozen=True)
class View:
    """The estimates for one encoder."""

    figure: Drawing
    targets: list[TargetRow]
    estimators: list[EstimatorRow]


def content(report: Report) -> Content | None:
    """Shown if something can be estimated about a target, from the others."""
    if report.cache is None:
        return None
    views, drawings, rows = [], {}, []
    for number, (_, known) in enumerate(sorted(known_domains(report.stored, report.cache).items())):
        left_out = LeftOut(known)
        if any(each.estimates for each in left_out.estimates):
            figure = estimates_figure(left_out.estimates, [])
            views.append(View(figure, target_rows(left_out.estimates), estimator_rows(left_out)))
            drawings[f"estimates-{number + 1}" if number else "estimates"] = figure
            rows += left_out.estimates
    if not views:
        return None
    best = views[0].estimators[0] if views[0].estimators else None
    gist = f"accuracy is estimated to within {best.error:.1f} points on average" if best else ""
    return Content({"views": views}, drawings, {"estimates.csv": csv_text(estimates_frame(rows))}, gist)


def target_rows(found: list[Estimated]) -> list[TargetRow]:
    """By source and target."""
    grouped: dict[tuple[str, str], list[Estimated]] = defaultdict(list)
    for each in found:
        grouped[each.domain.source, each.domain.name].append(each)
    return [_target_row(source, target, grouped[source, target]) for source, target in sorted(grouped)]


def _target_row(source: str, target: str, found: list[Estimated]) -> TargetRow:
    answered = [each for each in found if each.estimates]
    return TargetRow(
        source=source,
        target=target,
        runs=len(found),
        drift=_drift(found[0].domain),
        true={m: 100 * fmean(each.domain.scores[m] for each in found) for m in METRICS},
        estimated={m: 100 * fmean(each.estimates[m].value for each in answered) for m in METRICS if answered},
        error=100 * fmean(abs(each.missed("accuracy")) for each in answered) if answered else None,
        covered=100 * fmean(each.covered("accuracy") for each in answered) if answered else None,
        why_not="" if answered else found[0].why_not,
    )


def _drift(domain: Domain) -> float | None:
    return domain.signals.get("Fréchet distance")


def estimator_rows(left_out: LeftOut) -> list[EstimatorRow]:
    """The most accurate first."""
    found = left_out.errors("accuracy")
    rows = [EstimatorRow(name, error, 100 * covered, width) for name, (error, covered, width) in found.items()]
    return sorted(rows, key=lambda row: row.error)


plugin = Section(
    title="Unlabelled domains",
    template=beside(__file__),
    content=content,
    folded=True,
    files={"estimates.csv": "estimated and true scores of every run on every target, as if it had no labels"},
)
