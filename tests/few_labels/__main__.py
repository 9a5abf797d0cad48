"""`python -m tests.few_labels --cache CACHE`: coverage and width of intervals from few labels, per target and run.

Needs a cache with runs and tables of labelled targets. Runs of every method are in the committee, as in `fercache
suggest`. `--own` leaves each run alone, as with `fercache suggest --run`.
"""

import argparse
from pathlib import Path

import numpy as np

from fercache.datasets import DatasetName
from fercache.loading.committee import Committee, read_committee
from fercache.loading.labelled_faces import Labelling, labels_of
from fercache.loading.tables import find_table
from fercache.settings import Settings
from fercache.store.tables import read_table
from tests.few_labels.simulated import SCORES, Known, Simulated, simulate

TARGETS = ("ferplus", *(f"synthetic:{domain}" for domain in ("studio", "webcam", "night", "sketch")))


def known_of(settings: Settings, target: str) -> tuple[Committee, Known]:
    """The target's faces that have a label, and the committee's answers about them."""
    info = find_table(settings.cache, target, None)
    committee = read_committee(settings, info, DatasetName.parse(target))
    table = read_table(info.path)
    truth = labels_of(table, slice(None), Labelling(committee.expressions)).index[committee.row]
    kept = truth >= 0
    answers = np.stack([member.answers for member in committee.members])
    return committee, Known(truth[kept], committee.posterior[kept], answers[:, kept])


def alone(committee: Committee, known: Known, run: int, kept: np.ndarray) -> Known:
    """The same with one member as its own committee."""
    own = committee.members[run]
    return Known(known.truth, own.probabilities[kept], own.answers[None, kept])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--target", nargs="*", default=TARGETS)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--level", type=float, default=0.9)
    parser.add_argument("--own", action="store_true")
    given = parser.parse_args()
    settings, rows = Settings(cache=given.cache), []
    print(f"{given.draws} draws of {given.count} labels, {given.level:.0%} intervals; [a random sample]")
    for target in given.target:
        committee, known = known_of(settings, target)
        of_target: list[Simulated] = []
        for run in range(len(committee.members)):
            one = _own(settings, target, committee, known, run) if given.own else known
            place = 0 if given.own else run
            of_target.append(simulate(one, place, given.count, level=given.level, draws=given.draws))
        rows += of_target
        print(f"{target:18} {_line(of_target)}", flush=True)
    print(f"{'all':18} {_line(rows)}")


def _own(settings: Settings, target: str, committee: Committee, known: Known, run: int) -> Known:
    table = read_table(find_table(settings.cache, target, None).path)
    kept = labels_of(table, slice(None), Labelling(committee.expressions)).index[committee.row] >= 0
    return alone(committee, known, run, kept)


def _line(found: list[Simulated]) -> str:
    parts = [f"{len(found):3} runs"]
    for score in SCORES:
        cover = np.array([one.coverage[score] for one in found])
        width, plain = (np.array([getattr(one, name)[score] for one in found]) for name in ("width", "random_width"))
        random = np.mean([one.random_coverage[score] for one in found])
        bias = np.mean([one.bias[score] for one in found])
        parts.append(
            f"{score}: coverage {cover.mean():.1%}, least {cover.min():.1%} [{random:.1%}], width {width.mean():.3f} "
            f"[{plain.mean():.3f}], ratio {np.mean(width / plain):.2f}, largest {np.max(width / plain):.2f}, "
            f"bias {bias:+.3f}"
        )
    return "; ".join(parts)


if __name__ == "__main__":
    main()
