"""feature table -> runs."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from threading import Event, Lock
from typing import Any

import torch
from pydantic import ValidationError

from fercache import registry
from fercache.errors import FercacheError, UsageError, check_file_name, first_problem, nearest
from fercache.heads import RANDOM, FitSettings, Head, HeadSettings, Task, TrunkSettings
from fercache.identity import file_hash, key_of, seed_from
from fercache.loading.earlier_versions import Wanted, warn_trained_again
from fercache.loading.run_config import (
    CROSS_VALIDATION,
    KEY_VERSION,
    LAST_EPOCH,
    NO_TRUNK,
    VALIDATION,
    RunConfig,
    SourcePart,
)
from fercache.loading.runs import TASK, origins_of
from fercache.loading.sources import Source, one_key, read_source
from fercache.loading.tables import DEFAULT_ENCODER, extract_command
from fercache.options.train import LearningOptions, TrainRequest
from fercache.plugins import Origin
from fercache.prompts import set_label
from fercache.runtime.progress import Bar, progress, say_once
from fercache.runtime.versions import versions
from fercache.settings import Settings
from fercache.stages._small_sources import warn_few
from fercache.store.atomic import remove_abandoned
from fercache.store.runs import is_finished, write_run
from fercache.store.schema import CLEAN
from fercache.store.tables import FeatureTable, read_table
from fercache.toml_files import is_file
from fercache.training import Fitted, Report, Step, build_head, train_head
from fercache.trunks import Trunk
from fercache.weights.state_dicts import listed
from fercache.weights.timm_backbone import PRETRAINED

USUALLY_CALLED = {
    "lr": "learning_rate",
    "wd": "weight_decay",
    "bs": "batch_size",
    "batch": "batch_size",
    "epoch": "epochs",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "optim": "optimizer",
    "opt": "optimizer",
    "scheduler": "schedule",
    "backbone": "trunk",
    "class_weights": "balance",
    "sampler": "balance",
}
"""Common names of settings in training scripts, and their names here."""


def train(settings: Settings, request: TrainRequest) -> list[Path]:
    """Trains every head with every seed; returns the run folders. Finished runs are not trained again.

    A CPU trains one run per core in parallel, which is faster than all cores on one run at a time. Accelerators, and
    trunks on pixels, train one run at a time.
    Raises UsageError for an unknown head or setting, and for a source that is not extracted or has too few labels.
    """
    remove_abandoned(settings.cache / "runs")
    plans = training_plans(settings, request, read_table)
    jobs = _jobs(request, plans)
    for plan in plans:  # refuses names that are too long before anything is trained
        folders = [_folder(settings, each, seed) for each, seed in jobs if each is plan]
        asked = plan.settings.model_dump(mode="json")
        wanted = Wanted(asked, request, set_label(request.prompts), origins=plan.origins, chosen_by=plan.chosen_by)
        warn_trained_again(settings.cache, folders, wanted, encoder_identity=plan.source.table.identity["encoder"])
    warn_few({id(plan.source): plan.source for plan in plans}.values())
    missing = [plan for plan, seed in jobs if not is_finished(_folder(settings, plan, seed))]
    parallel = not any(plan.source.crops or plan.source.device != "cpu" for plan in plans)
    with progress("train", sum(plan.work for plan in missing), "face") as bar, workers(parallel) as run_all:
        watched = _Watched(bar, len(missing))

        def run(job: tuple[TrainingPlan, int]) -> Path:
            return _train_one(settings, request, *job, watched)

        try:
            return list(run_all(run, jobs))
        finally:
            watched.stopped.set()  # an interrupt waits for a step, not for all runs


class _Watched:
    """The progress bar of parallel runs, and the signal to stop them."""

    def __init__(self, bar: Bar, runs: int) -> None:
        self.stopped = Event()
        self._bar, self._runs, self._done, self._one = bar, runs, 0, Lock()

    def step(self, faces: int) -> None:
        """Counts more trained faces. Raises FercacheError once training is stopped."""
        if self.stopped.is_set():
            raise FercacheError("Training was stopped; unfinished runs are discarded.")
        with self._one:
            self._bar.update(faces)

    def finish(self, left: int) -> None:
        """Counts a finished run, and `left` faces that it did not count."""
        with self._one:
            self._done += 1
            self._bar.set_postfix_str(f"{self._done} of {self._runs} runs", refresh=False)
            self._bar.update(left)


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


@dataclass(frozen=True)
class TrainingPlan:
    """A head to train, validated before the first run starts."""

    name: str
    plugin: type[Head]
    settings: HeadSettings
    identity: dict[str, Any]
    source: Source
    task: Task
    options: dict[str, Any]
    """The request's options that belong to the key."""

    @property
    def trunk(self) -> str:
        """The name of the head's trunk, NO_TRUNK for a head without one."""
        return str(getattr(self.settings, "trunk", NO_TRUNK))

    @property
    def origins(self) -> dict[str, Origin | None]:
        """The origins of the head and its trunk, by field of `RunConfig`; None for built-in ones."""
        return origins_of(self.name, self.trunk)

    @property
    def chosen_by(self) -> str:
        """What epochs or candidates are chosen by; see `RunConfig.chosen_by`."""
        if not self.source.few:
            return VALIDATION
        return LAST_EPOCH if isinstance(self.settings, FitSettings) else CROSS_VALIDATION

    @property
    def work(self) -> int:
        """Training faces times epochs."""
        epochs = self.settings.epochs if isinstance(self.settings, FitSettings) else 1
        return epochs * len(self.source.faces.train.labels)

    @property
    def prompts_key(self) -> str | None:
        """The key of the prompts that the head reads; None for a head without text."""
        prompts = self.source.prompts
        return key_of(prompts.identity) if self.plugin.needs_text and prompts is not None else None

    def build(self, seed: int) -> Head:
        """The head with its initial weights, including its trunk's."""
        head = build_head(self.plugin, self.task, self.settings, seed=seed)
        _fill_trunk(head, self.settings)
        return head

    def fit(self, seed: int, report: Report | None = None, step: Step | None = None) -> tuple[Head, Fitted]:
        """Trains a head; see `train_head`."""
        head, drawn = self.build(seed_from("weights", seed)).to(self.source.device), seed_from("training", seed)
        return head, train_head(head, self.source.faces, self.settings, seed=drawn, report=report, step=step)


def training_plans(
    settings: Settings, request: TrainRequest, read: Callable[[Path], FeatureTable]
) -> list[TrainingPlan]:
    """One plan per requested head; `read` gives the rows of a table, or some of them."""
    plugins = {name: registry.load("heads", name) for name in request.heads}
    chosen = _head_settings(plugins, request.set)
    source = cache(partial(read_source, settings, request, read))  # heads share their source
    return [
        _plan(name, plugin, chosen[name], options=request.identity(), read=source) for name, plugin in plugins.items()
    ]


def _jobs(request: TrainRequest, plans: Sequence[TrainingPlan]) -> list[tuple[TrainingPlan, int]]:
    """Each head with each seed; a head without random parts with the first seed only."""
    return [(p, seed) for p in plans for seed in (request.seeds if p.plugin.seeded else request.seeds[:1])]


def _plan(
    name: str, plugin: type[Head], chosen: HeadSettings, options: dict[str, Any], read: Callable[..., Source]
) -> TrainingPlan:
    identity = _identity_of(chosen)
    recipe = chosen.recipe if isinstance(chosen, FitSettings) else CLEAN
    side = chosen.crops if isinstance(chosen, TrunkSettings) else None
    source = read(recipe=recipe, with_crops=plugin.needs_crops(chosen), side=side)
    plan = TrainingPlan(
        name, plugin, chosen, identity=identity, source=source, task=_task(source, plugin, name), options=options
    )
    plan.build(seed=0)
    if plan.plugin.learns_shift and source.shifted_key is None:
        say_once(
            f"warning: {name} learns from corrupted images of source validation, but {source.name} has none. "
            f"To make them: {extract_command(source.table)}"
        )
    return plan


def _head_settings(plugins: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, HeadSettings]:
    """The settings of each head. Raises UsageError for a setting that no head has, and for a wrong value."""
    known = {name for plugin in plugins.values() for name in plugin.Settings.model_fields}
    for name in given:
        if name not in known:
            meant = USUALLY_CALLED.get(name, name)
            raise UsageError(f"'{name}' is not a setting of {', '.join(plugins)}. {nearest(meant, known)}")
    result = {}
    for head, plugin in plugins.items():
        mine = {name: value for name, value in given.items() if name in plugin.Settings.model_fields}
        try:
            result[head] = plugin.Settings.model_validate(mine)
        except ValidationError as error:
            problem = first_problem(error)
            raise UsageError(f"--set {problem.name}={problem.given}: {problem.message} (head {head}).") from None
    return result


def planned_runs(settings: Settings, request: TrainRequest) -> list[Path]:
    """The folders that `train` would return, existing or not; nothing is trained. Raises as `train`."""
    plans = training_plans(settings, request, read_table)
    return [_folder(settings, plan, seed) for plan, seed in _jobs(request, plans)]


def _run_identity(plan: TrainingPlan) -> dict[str, Any]:
    """Everything that changes a run's numbers, except its seed."""
    choice = {} if plan.chosen_by == VALIDATION else {"chosen_by": plan.chosen_by}
    return {
        **choice,
        **plan.options,
        **{name: origin.identity for name, origin in plan.origins.items() if origin},
        "version": KEY_VERSION,
        "rows": plan.source.rows_key,
        "head": plan.name,
        "settings": plan.identity,
        "expressions": list(plan.source.expressions),
        "prompts": plan.prompts_key,
        "crops": plan.source.crops,
        **({"shifted": plan.source.shifted_key} if plan.plugin.learns_shift else {}),
    }


def _folder(settings: Settings, plan: TrainingPlan, seed: int) -> Path:
    key = key_of({**_run_identity(plan), "seed": seed})
    encoder = plan.source.table.provenance["encoder"]
    name = f"{encoder}-{plan.source.slug}-{plan.name}-{plan.trunk}-{seed}-{key[:8]}"
    check_file_name("The run's name", name)
    return settings.cache / "runs" / name


def _train_one(settings: Settings, request: TrainRequest, plan: TrainingPlan, seed: int, watched: _Watched) -> Path:
    source, task = plan.source, plan.task
    folder = _folder(settings, plan, seed)
    if is_finished(folder):
        return folder
    name, identity = folder.name, _run_identity(plan)
    start = time.perf_counter()
    left = plan.work

    def step(faces: int) -> None:
        nonlocal left
        left -= faces
        watched.step(faces)

    _, fitted = plan.fit(seed, lambda row: watched.step(0), step)
    watched.finish(left)
    parts = [SourcePart(name=str(part.name.whole), split=part.split, key=part.table.clean_key) for part in source.parts]
    config = RunConfig(
        name=name,
        key_version=KEY_VERSION,
        key=key_of({**identity, "seed": seed}),
        method_key=key_of(identity),
        encoder=source.table.provenance["encoder"],
        encoder_identity=source.table.identity["encoder"],
        encoder_request=source.table.provenance["encoder_request"],
        encoder_seen=source.table.provenance["seen"],
        source=source.name,
        source_split=source.split,
        source_key=one_key([part.key for part in parts]),
        pool=parts if len(parts) > 1 else [],
        head=plan.name,
        trunk=plan.trunk,
        head_from=plan.origins["head_from"],
        trunk_from=plan.origins["trunk_from"],
        settings=plan.settings.model_dump(mode="json"),
        seed=seed,
        expressions=list(source.expressions),
        dimension=task.dimension,
        crop_side=task.crop_side,
        views=source.views,
        **request.part(LearningOptions),
        prompts=set_label(request.prompts) if plan.prompts_key else None,
        prompts_key=plan.prompts_key,
        logit_scale=task.logit_scale,
        train_rows=source.own_rows,
        few_labels=source.few_labels,
        validation_rows=len(source.faces.validation.labels),
        validation_copies=source.copies,
        chosen_by=plan.chosen_by,
        dropped=dict(source.dropped),
        versions=versions(),
        device=source.device,
        seconds=round(time.perf_counter() - start, 3),
    )
    snapshots = {
        name: {tensor: value.detach().cpu().numpy() for tensor, value in state.items()}
        for name, state in fitted.snapshots.items()
    }
    if task.text is not None:
        snapshots[TASK] = {"text": task.text.cpu().numpy()}
    return write_run(
        folder, config=config.model_dump(mode="json", by_alias=True), history=fitted.history, snapshots=snapshots
    )


def _task(source: Source, plugin: type[Head], head_name: str) -> Task:
    if plugin.needs_text and source.prompts is None:
        with_text = extract_command(source.table, DEFAULT_ENCODER)
        raise UsageError(
            f"{head_name} compares faces with text, but {source.table.provenance['encoder']} has no prompt table. "
            f"Use an encoder that encodes text, such as the bundled one: {with_text}"
        )
    crops = source.parts[0].crops
    dimension, side = source.faces.train.features.shape[1], crops.info.side if crops else None
    if not plugin.needs_text or source.prompts is None:
        return Task(source.expressions, dimension, crop_side=side)
    text = torch.from_numpy(source.prompts.per_expression(source.expressions)).to(source.device)
    return Task(source.expressions, dimension, text, logit_scale=source.prompts.logit_scale, crop_side=side)


def _identity_of(chosen: HeadSettings) -> dict[str, Any]:
    """The settings for the key: a weights file counts by its content, not its path."""
    settings = chosen.identity()
    weights = settings.get("trunk_weights", RANDOM)
    if weights == PRETRAINED:
        settings["trunk_weights"] = f"{PRETRAINED} by timm {version('timm')}"
    elif weights != RANDOM:
        if not is_file(Path(weights)):
            raise UsageError(
                f"--trunk-weights {weights}: no such file. Correct the path, or write `{PRETRAINED}` for "
                "timm's weights."
            )
        settings["trunk_weights"] = file_hash(Path(weights))
    return settings


def _fill_trunk(head: Head, chosen: HeadSettings) -> None:
    """Loads the trunk's initial weights."""
    trunk = getattr(head, "trunk", None)
    if isinstance(chosen, TrunkSettings) and isinstance(trunk, Trunk) and chosen.trunk_weights != RANDOM:
        unused = trunk.load_weights(chosen.trunk_weights)
        if unused:
            say_once(f"{chosen.trunk_weights}: entries that {chosen.trunk} does not use: {listed(unused)}")
