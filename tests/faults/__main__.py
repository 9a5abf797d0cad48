"""Kills extractions at random phases and compares the tables. Exit code 1 when any differs, or a phase was not met."""

import argparse
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from tqdm import tqdm

from fercache.synthetic_faces import DOMAINS, EXPRESSIONS, draw, sample_face
from tests.faults.kills import FACES, WHOLE, Outcome, Trial, attempted, kind_of, prepare

TWICE = 0.5
"""The share of trials in which the run that goes on is killed as well."""


def draw_faces(root: Path) -> list[Path]:
    """A file for each of FACES faces."""
    paths = []
    for number in range(FACES):
        expression = EXPRESSIONS[number % len(EXPRESSIONS)]
        path = root / expression / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(sample_face(1, number, DOMAINS[0], expression), 48)).save(path)
        paths.append(path)
    return paths


def trials(kills: int, phases: Sequence[str], seed: int) -> list[Trial]:
    """As many trials as strike `kills` times. Every kind of phase is met; the rest is drawn."""
    generator = random.Random(seed)
    by_kind = {kind_of(phase): [n for n, p in enumerate(phases) if kind_of(p) == kind_of(phase)] for phase in phases}
    kinds = sorted(by_kind)
    found: list[Trial] = []
    while kills > 0:
        number = len(found)
        first = generator.choice(by_kind[kinds[number % len(kinds)]])
        fatal = [first]
        left = len(phases) - first - len(kinds)
        if kills > 1 and left > 0 and generator.random() < TWICE:
            fatal.append(generator.randrange(left))
        found.append(Trial(f"trial-{number}", (*fatal, WHOLE)))
        kills -= len(fatal)
    return found


def report(outcomes: Sequence[Outcome], phases: Sequence[str]) -> int:
    """Prints a line per kind of phase; returns the exit code."""
    struck = Counter(kind_of(phase) for outcome in outcomes for phase in outcome.struck)
    again = Counter(kind_of(phase) for outcome in outcomes for phase in outcome.struck[1:])
    print(f"{'phase':28} {'kills':>6} {'of these in a run that went on':>32}")
    kinds = dict.fromkeys(map(kind_of, phases))
    for kind in kinds:
        print(f"{kind:28} {struck[kind]:6} {again[kind]:32}")
    identical = sum(outcome.identical for outcome in outcomes)
    print(f"{sum(struck.values())} kills in {len(outcomes)} extractions: {identical} tables are the undisturbed one")
    missed = [kind for kind in kinds if not struck[kind]]
    if missed:
        print(f"never struck: {', '.join(missed)}")
    for outcome in outcomes:
        if not outcome.identical:
            print(f"another table: {outcome.trial.fatal}, struck at {', '.join(outcome.struck)}")
    return int(bool(missed) or identical < len(outcomes))


def main() -> int:
    """Runs as many trials side by side as there are cores."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with TemporaryDirectory() as temporary:
        work = Path(temporary)
        root, whole, phases = prepare(work, draw_faces(work / "drawn"))
        chosen, cores = trials(asked.kills, phases, asked.seed), os.cpu_count() or 1
        outcomes: list[Outcome] = []
        with tqdm(total=len(chosen), unit="extraction") as bar, ThreadPoolExecutor(cores) as threads:

            def attempt(some: Sequence[Trial]) -> None:
                for outcome in attempted(root, work, some, whole):
                    outcomes.append(outcome)
                    bar.update()

            list(threads.map(attempt, (chosen[core::cores] for core in range(cores))))
    return report(outcomes, phases)


if __name__ == "__main__":
    sys.exit(main())
