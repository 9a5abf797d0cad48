"""Times the light stages on made tables of several sizes, each in a process of its own, and prints a Markdown table.

`python -m tests.scale --cache FOLDER --rows 250000 500000 1000000 2000000 --memory "1 GB"`
The folder is a cache that holds the features of `synthetic:studio`; tables of millions of faces are made in it.
"""

import argparse
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fercache import Settings
from fercache.loading.tables import find_table
from fercache.store.tables import read_table
from tests.scale.made_tables import make_table, name_of, planted

FITTED = ("zero-shot", "class-mean", "gda", "shift-gda", "rla", "linear-probe", "knn", "tip-adapter")
TRAINED = ("sigmoid-mask", "text-similarity", "masked-text", "tip-adapter-f")
EPOCHS = 2
Measured = tuple[float, float, float]
"""Seconds, processor seconds, and peak memory in GB."""


def commands(dataset: str, heads: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """What is timed, by name: evaluation of a head takes the run that was trained before."""
    for head in heads:
        epochs = ["--set", f"epochs={EPOCHS}"] if head in TRAINED else []
        yield f"train {head}", ["train", "--source", dataset, "--head", head, "--seeds", "0", *epochs]
        yield f"evaluate {head}", ["evaluate", "--target", dataset, "--run", head]
    yield "audit", ["audit", dataset]


def measured(command: Sequence[str], environment: dict[str, str]) -> tuple[Measured, int, str]:
    """The cost of a process, its exit code, and the end of what it printed."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "fercache", *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    printed = process.stdout.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    cost = time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20
    return cost, os.waitstatus_to_exitcode(status), printed[-300:]


def run_of(cache: Path, rows: int, head: str) -> str:
    """The name of the run of a head on a made table; other numbers of rows have other names."""
    found = [folder.name for folder in (cache / "runs").glob(f"*-folder-scale-{rows}-{head}-*")]
    return found[0] if found else f"the run of {head}, which failed"


def found_copies(report: Path, rows: int) -> str:
    """How many of the planted copies an audit lists."""
    listed = pd.read_csv(report / "duplicates.csv", usecols=["id", "other_id"], dtype=str)
    found = {frozenset(pair) for pair in listed.itertuples(index=False, name=None)}
    pairs = [frozenset(map(name_of, pair)) for pair in planted(rows).tolist()]
    return (
        f"{sum(pair in found for pair in pairs):,} of {len(pairs):,} planted copies found, {len(found):,} pairs listed"
    )


def exponent(found: dict[int, Measured], which: int) -> str:
    """The growth exponent of a cost, fitted to the sizes; "" for one size."""
    if len(found) < 2:
        return ""
    sizes = sorted(found)
    slope = np.polyfit(np.log(sizes), np.log([max(found[rows][which], 1e-3) for rows in sizes]), 1)[0]
    return f"{slope:.2f}"


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--cache", type=Path, required=True)
    reader.add_argument("--rows", type=int, nargs="+", required=True)
    reader.add_argument("--memory", default="1 GB", help="the setting `memory`")
    reader.add_argument("--heads", nargs="*", default=[*FITTED, *TRAINED])
    reader.add_argument("--only", default="", help="only commands that begin with this word: train, evaluate, audit")
    given = reader.parse_args()
    environment = {**os.environ, "FERCACHE_CACHE": str(given.cache), "FERCACHE_MEMORY": given.memory}
    environment |= {"FERCACHE_REPORTS": str(given.cache / "reports")}
    settings = Settings(cache=given.cache)
    small = read_table(find_table(settings.cache, "synthetic:studio", None).path)
    found: dict[str, dict[int, Measured]] = defaultdict(dict)
    for rows in given.rows:
        start = time.perf_counter()
        make_table(given.cache, small, rows)
        print(f"{rows:,} rows: made in {time.perf_counter() - start:.0f} s", flush=True)
        for name, command in commands(f"folder:scale-{rows}", given.heads):
            if not name.startswith(given.only):
                continue
            if command[0] == "evaluate":
                command[-1] = run_of(given.cache, rows, command[-1])
            cost, code, printed = measured(command, environment)
            print(f"{rows:,} {name}: {cost[0]:.1f} s, {cost[1]:.1f} s of processor, {cost[2]:.2f} GB", flush=True)
            if name == "audit" and not code:
                print(f"  {found_copies(given.cache / 'reports' / f'audit-folder-scale-{rows}', rows)}", flush=True)
            if code:
                print(f"  exit code {code}: {printed}", flush=True)
            else:
                found[name][rows] = cost
    print("Seconds of processor, which other work on the machine changes little:")
    print("| stage | " + " | ".join(f"{rows:,}" for rows in given.rows) + " | exponent of time | of memory |")
    print("|---" * (len(given.rows) + 3) + "|")
    for name, costs in found.items():
        cells = [f"{costs[rows][1]:.0f} s, {costs[rows][2]:.1f} GB" if rows in costs else "-" for rows in given.rows]
        print(f"| {name} | {' | '.join(cells)} | {exponent(costs, 1)} | {exponent(costs, 2)} |")


if __name__ == "__main__":
    main()
