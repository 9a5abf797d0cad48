"""Prints the errors of all estimators on the scored targets of a cache, each taken for unlabelled, as Markdown.

With --fifth-style, also those on a style of synthetic faces that no estimator was built with: it is drawn, extracted,
estimated and only then scored. The cache should hold runs of several heads on several scored targets.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from fercache import EncoderRequest, ExtractRequest, extract
from fercache.options.estimate import EstimateRequest
from fercache.options.evaluate import EvaluateRequest
from fercache.records import find_records, read_records
from fercache.reporting.estimates import Estimated, LeftOut
from fercache.reporting.known_domains import known_domains
from fercache.reporting.table_rows import METRIC_NAMES
from fercache.scoring.estimates import METRICS, Domain, Metric
from fercache.settings import Settings
from fercache.stages.estimate import estimate
from fercache.stages.evaluate import evaluate
from tests.estimates.fifth_style import NAME, draw_folder


def known_in(cache: Path) -> list[Domain]:
    (known,) = known_domains(read_records(find_records(cache))[0], cache).values()
    return known


def by_estimator(left_out: LeftOut, metric: Metric) -> Iterator[str]:
    yield f"| estimator of {METRIC_NAMES[metric]} | mean absolute error | in the interval | its mean width |"
    yield "|---|---|---|---|"
    found = left_out.errors(metric)
    for name, (error, covered, width) in sorted(found.items(), key=lambda item: item[1][0]):
        yield f"| {name} | {error:.1f} | {100 * covered:.0f} % | {width:.0f} |"


def by_kind(found: Sequence[Estimated]) -> Iterator[str]:
    yield "| source | targets | runs x targets | refused | accuracy: error, covered | recall: error, covered |"
    yield "|---|---|---|---|---|---|"
    kinds = {(each.domain.source, kind_of(each.domain)): [] for each in found}
    for each in found:
        kinds[each.domain.source, kind_of(each.domain)].append(each)
    for (source, kind), rows in sorted(kinds.items()):
        yield f"| {source} | {kind} | {len(rows)} | {sum(not each.estimates for each in rows)} | {_scored(rows)} |"
    yield f"| all | | {len(found)} | {sum(not each.estimates for each in found)} | {_scored(found)} |"


def refused_anyway(left_out: LeftOut) -> Iterator[str]:
    """What estimates would have missed by, where there are none."""
    missed = []
    for each in (best.domain for best in left_out.estimates if not best.estimates):
        calibrated = left_out.calibrated(each.images, each.source)
        if estimator := calibrated.best(each):
            made = {"accuracy": calibrated.estimate(each, "accuracy", estimator)}
            missed.append(100 * Estimated(each, made).missed("accuracy"))
    if missed:
        size, bias = fmean(map(abs, missed)), fmean(missed)
        yield f"Refused, but estimated anyway: mean absolute error {size:.1f} points, mean error {bias:+.1f}."


def kind_of(domain: Domain) -> str:
    return f"corrupted {domain.name.partition('+')[0]}" if "+" in domain.name else domain.name.partition(":")[0]


def _scored(rows: Sequence[Estimated]) -> str:
    answered = [each for each in rows if each.estimates]
    if not answered:
        return "– | –"
    cells = (
        f"{100 * fmean(abs(each.missed(m)) for each in answered):.1f}, "
        f"{100 * fmean(each.covered(m) for each in answered):.0f} %"
        for m in METRICS
    )
    return " | ".join(cells)


def fifth_style(settings: Settings) -> Iterator[str]:
    """Estimated before its labels are used for the first time."""
    with TemporaryDirectory() as folder:
        root, name = draw_folder(Path(folder)), f"folder:{NAME}"
        extract(settings, ExtractRequest(dataset=name, root=root, encoder=EncoderRequest()))
        asked = estimate(settings, EstimateRequest(target=name)).runs
        evaluate(settings, EvaluateRequest(targets=(name,)))
    truth = {each.run: each.scores for each in known_in(settings.cache) if each.name == name}
    for each in asked:
        object.__setattr__(each.domain, "scores", truth[each.domain.run])
    yield from by_kind(asked)
    answered = [each for each in asked if each.estimates]
    if not answered:
        yield f"\nAll {len(asked)} runs are refused: {asked[0].why_not}"
        return
    estimated = 100 * fmean(each.estimates["accuracy"].value for each in answered)
    true = 100 * fmean(each.domain.scores["accuracy"] for each in answered)
    yield f"\nMean accuracy over runs: estimated {estimated:.1f}, true {true:.1f}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--fifth-style", action="store_true")
    asked = parser.parse_args()
    left_out = LeftOut(known_in(asked.cache))
    for metric in METRICS:
        print("\n".join(by_estimator(left_out, metric)), end="\n\n")
    print("\n".join((*by_kind(left_out.estimates), "", *refused_anyway(left_out))), end="\n\n")
    if asked.fifth_style:
        print("\n".join(fifth_style(Settings(cache=asked.cache, reports=asked.cache.parent / "reports"))))


if __name__ == "__main__":
    main()
