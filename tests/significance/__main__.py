"""Prints how often tests of differences are wrong, and how often they are right, as Markdown.

Simulated: methods that are equal and methods that are 2 and 5 points apart. With --real, also runs of one method with
many seeds, trained on synthetic:studio with the bundled encoder and stored in a cache of that name: what it lacks is
extracted, trained and scored first (20 seeds: some minutes). FERPlus is a target where the cache has its table.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path

from fercache.options.evaluate import EvaluateRequest
from fercache.options.extract import ExtractRequest
from fercache.options.train import TrainRequest
from fercache.settings import Settings
from fercache.stages.evaluate import evaluate
from fercache.stages.extract import extract
from fercache.stages.train import train
from tests.significance import real
from tests.significance.simulated import Case, rejected, rejected_over_targets

SPREADS = (0.0, 1.0, 2.0)
"""Standard deviations of accuracy between seeds, in points."""

SEEDS = (3, 5)

EQUAL = {
    "accuracy, 100 faces": Case(faces=100),
    "accuracy, 1,000 faces": Case(),
    "accuracy, 4,000 faces": Case(faces=4000),
    "recall, 1,000 faces": Case(metric="mean_class_recall"),
    "recall, 100 faces, rare expressions": Case(faces=100, metric="mean_class_recall", shares="rare"),
    "recall, 400 faces, rare expressions": Case(faces=400, metric="mean_class_recall", shares="rare"),
    "recall, 4,000 faces, rare expressions": Case(faces=4000, metric="mean_class_recall", shares="rare"),
    "accuracy, 1,000 faces, another method": Case(alike=False),
    "accuracy, 1,000 faces, one without seeds": Case(alike=False, fixed=True),
    "recall, 400 faces, rare, one without seeds": Case(
        400, metric="mean_class_recall", shares="rare", alike=False, fixed=True
    ),
    "accuracy, 400 faces of 40 persons": Case(faces=400, alike=False, persons=True),
    "recall, 400 faces of 40 persons": Case(faces=400, metric="mean_class_recall", alike=False, persons=True),
}
"""Against the same method again, where nothing else is said. The rarest of seven expressions has 1 % of the faces."""

UNEQUAL = {
    f"{gain:g} points, {faces:,} faces{against}": Case(faces=faces, gain=gain, alike=False, fixed=bool(against))
    for gain, (faces, against) in product(
        (2.0, 5.0), ((100, ""), (400, ""), (1000, ""), (4000, ""), (1000, ", one without seeds"))
    )
}


def simulated(trials: int) -> Iterator[str]:
    """Lines of Markdown: percent of experiments with p below 0.05."""
    columns = list(product(SEEDS, SPREADS))
    heading = [
        "| | " + " | ".join(f"{seeds} seeds, sd {sd:g}" for seeds, sd in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    with ProcessPoolExecutor() as workers:
        for title, cases in (("no difference", EQUAL), ("a true difference", UNEQUAL)):
            yield f"\nSimulated, {title}: p < 0.05 in % of {trials:,} experiments.\n"
            yield from heading
            for name, case in cases.items():
                asked = [replace(case, seeds=seeds, sd=sd) for seeds, sd in columns]
                found = workers.map(rejected, asked, [trials] * len(asked), range(len(asked)))
                yield _row(name, found)
            for targets, gain in product((3, 5, 10), (0.0 if cases is EQUAL else 5.0,)):
                found = workers.map(_over_targets, [(targets, seeds, sd, gain, trials) for seeds, sd in columns])
                yield _row(f"mean over {targets} targets" + (f", {gain:g} points" if gain else ""), found)


def _over_targets(asked: tuple[int, int, float, float, int]) -> float:
    return rejected_over_targets(*asked, seed=1)


def _row(name: str, found: Iterable[float]) -> str:
    return f"| {name} | " + " | ".join(f"{100 * share:.1f}" for share in found) + " |"


def prepare(cache: Path, seeds: int) -> None:
    """Runs of one method, and their scores on synthetic faces, and on FERPlus if the cache has it."""
    settings = Settings(cache=cache)
    targets = ("synthetic:webcam", "synthetic:night", "synthetic:sketch")
    for name in (real.SOURCE, *targets):
        extract(settings, ExtractRequest(dataset=name))
    if any((cache / "features").glob("*/ferplus-*.h5")):
        targets = (*targets, "ferplus")
    runs = train(settings, TrainRequest(source=real.SOURCE, heads=(real.HEAD,), seeds=tuple(range(seeds))))
    evaluate(settings, EvaluateRequest(targets=targets, runs=tuple(run.name for run in runs)))


def main() -> int:
    """Prints each row as soon as it is known."""
    parser = argparse.ArgumentParser(prog="python -m tests.significance", description=__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="simulated experiments of each cell")
    parser.add_argument("--real", type=Path, metavar="CACHE", help="compare real runs, which are stored there")
    parser.add_argument("--seeds", type=int, default=20, help="of the real runs")
    parser.add_argument("--draws", type=int, default=2000, help="of real runs, for each cell")
    asked = parser.parse_args()
    for line in simulated(asked.trials) if asked.trials else ():
        print(line, flush=True)
    if asked.real:
        prepare(asked.real, asked.seeds)
        print(
            f"\nReal runs of one method ({real.HEAD}, {asked.seeds} seeds): p < 0.05 in % of {asked.draws:,} draws.\n"
        )
        for line in real.table(asked.real, asked.draws):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
