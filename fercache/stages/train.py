"""feature table -> runs."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock
from typing import Any, Never

import torch

from fercache.errors import FercacheError
from fercache.options.train import TrainRequest
from fercache.runtime.progress import Bar, progress
from fercache.settings import Settings
from fercache.stages._train_on_cluster import train_on_cluster
from fercache.stages._training_plans import PlannedRun, planned, train_run, training_plans, warn_before_training
from fercache.store.atomic import remove_abandoned
from fercache.store.in_use import using
from fercache.store.runs import is_finished, write_run
from fercache.store.tables import read_table


def train(settings: Settings, request: TrainRequest) -> list[Path]:
    """Trains every head with every seed; returns the run folders. Finished runs are not trained again.

    A CPU trains one run per core in parallel, which is faster than all cores on one run at a time. Accelerators, and
    trunks on pixels, train one run at a time. A Ray cluster does the same on each of its machines.
    Raises UsageError for an unknown head or setting, and for a source that is not extracted or has too few labels.
    """
    if request.engine == "ray":
        return train_on_cluster(settings, {"": request}, failed=_raise)[""]
    remove_abandoned(settings.cache / "runs")
    plans = training_plans(settings, request, read_table)
    runs = planned(settings, plans)
    warn_before_training(settings, runs)
    missing = [run for run in runs if not is_finished(run.folder)]
    tables = [part.table.path for plan in plans for part in plan.source.parts]
    parallel = not any(plan.source.crops or plan.source.device != "cpu" for plan in plans)
    with using(settings.cache, [*tables, *(run.folder for run in missing)]):
        _check_there(tables)
        with progress("train", sum(run.plan.work for run in missing), "face") as bar, workers(parallel) as run_all:
            watched = _Watched(bar, len(missing))
            try:
                list(run_all(watched.train, missing))
            finally:
                watched.stopped.set()  # an interrupt waits for a step, not for all runs
    return [run.folder for run in runs]


def _check_there(tables: Sequence[Path]) -> None:
    """Raises FercacheError if a source was removed after it was read: a run must not refer to what is gone."""
    if gone := [path for path in tables if not path.exists()]:
        raise FercacheError(f"{gone[0]} was removed meanwhile. Run the same `fercache extract`, then train again.")


def _raise(_: str, error: Exception) -> Never:
    raise error


def planned_runs(settings: Settings, request: TrainRequest) -> list[Path]:
    """The folders that `train` would return, existing or not; nothing is trained. Raises as `train`."""
    return [run.folder for run in planned(settings, training_plans(settings, request, read_table))]


class _Watched:
    """The progress bar of parallel runs, and the signal to stop them."""

    def __init__(self, bar: Bar, runs: int) -> None:
        self.stopped = Event()
        self._bar, self._runs, self._done, self._one = bar, runs, 0, Lock()

    def train(self, run: PlannedRun) -> None:
        """Trains a run and writes it. Raises FercacheError once training is stopped."""
        left = run.plan.work

        def step(faces: int) -> None:
            nonlocal left
            left -= faces
            self._step(faces)

        files = train_run(run, lambda row: self._step(0), step)
        with self._one:
            self._done += 1
            self._bar.set_postfix_str(f"{self._done} of {self._runs} runs", refresh=False)
            self._bar.update(left)
        write_run(run.folder, files)

    def _step(self, faces: int) -> None:
        if self.stopped.is_set():
            raise FercacheError("Training was stopped; unfinished runs are discarded.")
        with self._one:
            self._bar.update(faces)


@contextmanager
def workers(parallel: bool) -> Iterator[Callable[..., Iterator[Any]]]:
    """A `map`: in parallel, with one thread per core and one core per thread; or one run at a time."""
    if not parallel:
        yield map
        return
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # MKL has one number for the whole process
