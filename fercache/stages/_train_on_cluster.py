"""The engine of training for many machines: a run, one head with one seed, is a task of a Ray cluster.

The driver plans the runs, hands out those that are missing, and writes their folders. Workers read the source from the
same cache, and keep it for further runs.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, nullcontext, redirect_stderr
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from fercache.cluster import Needs, Work, check_address, cores_of_task, handed_out
from fercache.errors import FercacheError, UsageError
from fercache.heads import Batch, HeadSettings
from fercache.loading.batches import StoredViews
from fercache.loading.last_source import LastSource
from fercache.loading.sources import Source
from fercache.options.train import TrainRequest
from fercache.runtime.memory import limit, limit_features
from fercache.runtime.progress import progress
from fercache.settings import Settings
from fercache.stages._training_plans import PlannedRun, plan_of, planned, plans_on, train_run, warn_before_training
from fercache.store.atomic import remove_abandoned
from fercache.store.in_use import using
from fercache.store.run_files import RunFiles
from fercache.store.runs import is_finished, write_run

PROCESS = 512 * 2**20
"""Bytes of a worker without features."""
COPIES = 2
"""Times that training holds the features at most: a fitted head may copy them."""

Key = TypeVar("Key")


@dataclass(frozen=True)
class Job:
    """A run to train, without the features. `content_key` is that of the source as the driver has read it."""

    request: TrainRequest
    head: str
    settings: HeadSettings
    seed: int
    folder: Path
    content_key: str
    faces: int
    memory: int
    on_pixels: bool
    tables: tuple[Path, ...]

    @classmethod
    def of(cls, run: PlannedRun, request: TrainRequest) -> "Job":
        """The job for a planned run."""
        plan, source = run.plan, run.plan.source
        return cls(
            request,
            head=plan.name,
            settings=plan.settings,
            seed=run.seed,
            folder=run.folder.resolve(),
            content_key=source.content_key,
            faces=plan.work,
            memory=PROCESS + COPIES * _bytes_of(source),
            on_pixels=source.crops is not None,
            tables=tuple(part.table.path for part in source.parts),
        )


def _bytes_of(source: Source) -> int:
    """The size of the features in memory."""
    faces = source.faces
    held = (faces.train, faces.validation, faces.shifted, faces.unshifted, faces.views)
    features = [each.features for each in held if isinstance(each, Batch | StoredViews)]
    return sum(each.nbytes for each in features if isinstance(each, torch.Tensor))


@dataclass(frozen=True)
class Place:
    """What workers share with the driver: its settings, its working folder, and the memory that features may take."""

    settings: Settings
    folder: Path
    memory: int


def train_on_cluster(
    settings: Settings, requests: Mapping[Key, TrainRequest], failed: Callable[[Key, Exception], None]
) -> dict[Key, list[Path]]:
    """Trains the missing runs of all requests at once; returns the run folders of each.

    The requests have the same device and address. `failed` is called with each request that cannot be planned, which is
    left out of the result, and for each run that fails. Raises UsageError without Ray or a cluster.
    """
    for address in {request.address for request in requests.values()}:
        check_address(address)  # before sources are read, which may take minutes
    remove_abandoned(settings.cache / "runs")
    found: dict[Key, list[Path]] = {}
    jobs: dict[Path, Job] = {}
    for key, runs in _planned(settings, requests, failed):
        found[key] = [run.folder for run in runs]
        jobs |= {run.folder: Job.of(run, requests[key]) for run in runs if not is_finished(run.folder)}
    asked_by = {folder: key for key, folders in found.items() for folder in folders}
    with using(settings.cache, [*jobs, *(table for job in jobs.values() for table in job.tables)]):
        for on_pixels in (False, True):
            some = {folder: job for folder, job in jobs.items() if job.on_pixels == on_pixels}
            if some:
                _train(settings, some, lambda folder, error: failed(asked_by[folder], error))
    return found


def _planned(
    settings: Settings, requests: Mapping[Key, TrainRequest], failed: Callable[[Key, Exception], None]
) -> Iterator[tuple[Key, list[PlannedRun]]]:
    """The runs of each request; one source at a time is in memory."""
    source = LastSource()
    for key, request in requests.items():
        try:
            # On the processor: what this machine has beside it does not matter.
            plans = plans_on(partial(source.read, settings, request.but(device="cpu")), request)
            runs = planned(settings, plans)
            warn_before_training(settings, runs)
        except Exception as error:
            failed(key, error)
        else:
            yield key, runs


def _train(settings: Settings, jobs: Mapping[Path, Job], failed: Callable[[Path, Exception], None]) -> None:
    """Trains and writes runs; `failed` is called with those that fail."""
    first = next(iter(jobs.values()))
    needs = Needs(first.request.device, all_cores=first.on_pixels, memory=max(job.memory for job in jobs.values()))
    place = Place(settings.model_copy(update={"cache": settings.cache.resolve()}), Path.cwd(), limit())
    work = Work(_train_job, place, needs, name=lambda job: f"the run {job.folder.name}", unit="runs")
    faces = sum(job.faces for job in jobs.values())
    with handed_out(work, jobs, first.request.address) as done, progress("train", faces, "face") as bar:
        for number, (folder, result) in enumerate(done, 1):
            try:
                write_run(folder, result())
            except FercacheError as error:
                failed(folder, error)
            bar.set_postfix_str(f"{number} of {len(jobs)} runs", refresh=False)
            bar.update(jobs[folder].faces)


_source = LastSource()
"""A worker's."""


def _train_job(place: Place, job: Job) -> RunFiles:
    limit_features(place.memory)
    torch.set_num_threads(cores_of_task())
    with chdir(place.folder) if place.folder.is_dir() else nullcontext():
        return train_run(_planned_again(place.settings, job))


def _planned_again(settings: Settings, job: Job) -> PlannedRun:
    """The run as the driver planned it. Raises FercacheError if this machine has other files."""
    read = partial(_source.read, settings, job.request, content_key=job.content_key)
    try:
        with redirect_stderr(io.StringIO()):  # the driver has said it
            plan = plan_of(job.head, job.settings, job.request, read=read)
    except UsageError as error:
        raise FercacheError(f"{_differs(settings, job)} There: {error}") from error
    if plan.run_name(job.seed) != job.folder.name:
        raise FercacheError(_differs(settings, job))
    return PlannedRun(plan, job.seed, job.folder)


def _differs(settings: Settings, job: Job) -> str:
    return (
        f"{job.request.source} differs on a worker. All machines of the cluster need the same fercache, and must see "
        f"the same files under the same paths: mount {settings.cache} on each."
    )
