"""A sweep of 40 runs on a Ray cluster of four nodes on this machine, whose driver and one node die: the same records.

    python -m tests.cluster_sweep [--folder FOLDER]

In FOLDER (default: a temporary one), `here` is what `fercache run` makes without a cluster, and `there` with it. Both
start from the same tables. Takes five minutes on two cores.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY
from tests.ray_cluster import end_cluster, start_cluster

NODES = 4
DRIVER_DIES, NODE_DIES = 8, 20
"""Finished runs at which the driver is killed, and at which a node is."""
RUNS = 40
SWEEP = """
name = "sweep"
precision = "fp32"
sources = ["synthetic:studio"]
targets = ["synthetic:webcam", "synthetic:sketch"]
seeds = [0, 1, 2, 3, 4]
heads = [
    { head = "sigmoid-mask", settings.epochs = 20, grid = { learning_rate = [1e-4, 1e-3], batch_size = [128, 512] } },
    { head = "text-similarity", settings = { epochs = 20 }, grid = { learning_rate = [1e-4, 1e-3] } },
    { head = "tip-adapter-f", settings = { epochs = 10 } },
    { head = "linear-probe" },
    { head = "class-mean" },
    { head = "knn" },
    { head = "gda" },
    { head = "ensemble" },
]
"""
CLUSTERLESS = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}


def started(folder: Path, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "fercache", "run", "sweep.toml", "--device", "cpu", *options]
    environment = {**CLUSTERLESS, "PYTHONPATH": str(REPOSITORY)}
    log = (folder / "log.txt").open("a", encoding="utf-8")
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, text=True)


def runs_in(folder: Path) -> list[Path]:
    return sorted(path.parent for path in (folder / "cache" / "runs").glob("*/done") if path.parent.suffix != ".tmp")


def at(count: int, folder: Path, driver: "subprocess.Popen[str]", strike: Callable[[], Any]) -> int:
    """Strikes when there are as many runs; returns how many there were."""
    while driver.poll() is None:
        if (found := len(runs_in(folder))) >= count:
            strike()
            return found
        time.sleep(0.02)
    raise SystemExit(f"The driver ended before there were {count} runs; see {folder / 'log.txt'}")


def ended(driver: "subprocess.Popen[str]", folder: Path) -> None:
    if driver.wait() != 0:
        raise SystemExit(f"`fercache run` failed; see {folder / 'log.txt'}")


def content(run: Path) -> dict[str, Any]:
    """What a run and its scores consist of, without durations."""
    found: dict[str, Any] = {name: (run / name).read_bytes() for name in ("history.csv", "head.safetensors")}
    for path in (run / "config.json", *sorted(run.glob("records/*.json"))):
        found[path.name] = json.loads(path.read_text(encoding="utf-8"))
        del found[path.name]["seconds"]
    for path in sorted(run.glob("predictions/*.h5")):
        found[path.name] = path.read_bytes()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--folder", type=Path)
    folder = parser.parse_args().folder or Path(tempfile.mkdtemp(prefix="fercache-sweep-"))
    here, there = folder / "here", folder / "there"
    for each in (here, there):
        each.mkdir(parents=True)
        (each / "sweep.toml").write_text(SWEEP, encoding="utf-8")
    ended(started(here), here)
    for tables in ("features", "prompts", "copies"):
        shutil.copytree(here / "cache" / tables, there / "cache" / tables)
    cluster = start_cluster(NODES)
    try:
        on_cluster = ("--engine", "ray", "--address", cluster.address)
        driver = started(there, *on_cluster)
        killed = at(DRIVER_DIES, there, driver, driver.kill)
        driver.wait()
        print(f"driver killed after {killed} runs")
        kept = {run: (run / "done").stat().st_mtime_ns for run in runs_in(there)}
        driver = started(there, *on_cluster)
        node = cluster.list_all_nodes()[-1]
        killed = at(NODE_DIES, there, driver, lambda: cluster.remove_node(node, allow_graceful=False))
        print(f"node killed after {killed} runs")
        ended(driver, there)
    finally:
        end_cluster(cluster)
    ours, theirs = ({run.name: content(run) for run in runs_in(each)} for each in (here, there))
    differing = {f"{run}/{name}" for run in ours for name in ours[run] if theirs[run].get(name) != ours[run][name]}
    records = sum(name.endswith(".json") and name != "config.json" for run in ours.values() for name in run)
    again = sum((run / "done").stat().st_mtime_ns != written for run, written in kept.items())
    print(f"{len(ours)} and {len(theirs)} runs, {records} records; runs trained again after the driver's end: {again}")
    print("\n".join(["differing files:", *sorted(differing)]) if differing else "all the same, but for durations")
    if differing or again or not len(ours) == len(theirs) == RUNS:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
