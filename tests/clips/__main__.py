"""Makes clips and measures what `fercache predict` finds in them: `python -m tests.clips FOLDER [--run RUN]`."""

import argparse
import csv
import os
import subprocess
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

from tests.clips import PLANS, clip_frames, repeated, write_film

LOST = 5.0
Rows = list[dict[str, str]]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", help="a run of the cache of this folder, or a method")
    parser.add_argument("--people", type=int, nargs=2, default=(0, 4), help="numbers of the drawn people")
    parser.add_argument("--style", default="studio")
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--minutes", type=int, default=10, help="of the longer clip, for memory; 0 for none")
    parser.add_argument("--long-fps", type=float, default=0.5)
    parser.add_argument("--faces", default="auto", help="the detector")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    clip = given.folder / f"{given.style}-{given.people[0]}-{given.people[1]}.mp4"
    if not clip.is_file():
        write_film(clip, clip_frames(tuple(given.people), given.style))
    options = ["--faces", given.faces, *(["--run", given.run] if given.run else [])]
    rows, memory = predicted(clip, [*options, "--fps", str(given.fps), "--draw", str(given.folder / "drawn")])
    print(f"{clip.name}: {memory:,} MB at most")
    compare(rows)
    if given.minutes:
        longer = repeated(clip, given.folder / "long.mp4", given.minutes)
        rows, memory = predicted(longer, [*options, "--fps", str(given.long_fps)])
        print(f"{given.minutes} minutes: {len({row['time'] for row in rows})} frames, {memory:,} MB at most")


def predicted(clip: Path, options: list[str]) -> tuple[Rows, int]:
    """The rows of the table, and the peak memory of the process in MB."""
    table = clip.with_suffix(".csv")
    command = [sys.executable, "-m", "fercache", "predict", str(clip), "--csv", str(table), *options]
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"predict failed: {status}")
    with table.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream)), used.ru_maxrss // 1000


def compare(rows: Rows) -> None:
    """Prints tracks, and the time at which each true change is found in the table."""
    tracks: dict[str, Rows] = defaultdict(list)
    for row in rows:
        if row["track"]:
            tracks[row["track"]].append(row)
    frames = len({row["time"] for row in rows})
    found_all = {name: f"{len(each) / frames:.0%}" for name, each in tracks.items()}
    print(f"tracks, and the share of the {frames} frames that they are found in: {found_all}")
    for face, plan in enumerate(PLANS):
        own = max(tracks.values(), key=lambda each: sum((float(row["left"]) > 580) == bool(face) for row in each))
        right = 0
        for row in own:
            right += row["prediction"] == [s.expression for s in plan if s.time <= float(row["time"]) + 1e-9][-1]
        print(f"face {face}: {right / len(own):.1%} of its frames have the true expression")
        for before, step in pairwise(plan):
            near = [row for row in own if abs(float(row["time"]) - step.time) < LOST]
            new = [float(row["time"]) for row in near if row["prediction"] == step.expression]
            error = f"{min(new) - step.time:+.2f} s" if new else "not found"
            print(f"  {before.expression} -> {step.expression} at {step.time:.1f} s: {error}")


main()
