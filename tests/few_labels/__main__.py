"""`python -m tests.few_labels --cache CACHE`: coverage and width of intervals from few labels, per target and run.

Needs a cache with runs and tables of labelled targets. Runs of every method are in the committee, as in `fercache
suggest`. `--own` leaves each run alone, as with `fercache suggest --run`.
"""

import argparse
from pathlib import Path

import numpy as np

from fercache.settings import Settings
from tests.few_labels.simulated import SCORES, Simulated, simulate
from tests.few_labels.targets import TARGETS, alone, known_of


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
        committee, known, kept = known_of(settings, target)
        of_target: list[Simulated] = []
        for run in range(len(committee.members)):
            one = alone(committee, known, kept, run) if given.own else known
            place = 0 if given.own else run
            of_target.append(simulate(one, place, given.count, level=given.level, draws=given.draws))
        rows += of_target
        print(f"{target:18} {_line(of_target)}", flush=True)
    print(f"{'all':18} {_line(rows)}")


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
