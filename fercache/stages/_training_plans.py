"""What is trained: a head with its settings on a source, checked before the first run starts; and training one run."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from fercache import registry
from fercache.errors import UsageError, check_file_name, first_problem, nearest
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
from fercache.runtime.progress import say_once
from fercache.runtime.versions import versions
from fercache.settings import Settings
from fercache.stages._small_sources import warn_few
from fercache.store.run_files import RunFiles, run_files
from fercache.store.schema import CLEAN
from fercache.store.tables import FeatureTable
from fercache.toml_files import is_file
from fercache.training import Fitted, Report, Step, build_head, train_head
from fercache.trunks import Trunk
from fercache.weights.state_dicts import listed
from fercache.weights.timm_backbone import PRETRAINED

ReadSource = Callable[..., Source]
"""Reads a source, for `recipe`, `with_crops` and `side`; see `read_source`."""
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


@dataclass(frozen=True)
class TrainingPlan:
    """A head to train, validated before the first run starts."""

    name: str
    plugin: type[Head]
    settings: HeadSettings
    identity: dict[str, Any]
    source: Source
    task: Task
    request: TrainRequest

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

    @property
    def run_identity(self) -> dict[str, Any]:
        """Everything that changes a run's numbers, except its seed."""
        choice = {} if self.chosen_by == VALIDATION else {"chosen_by": self.chosen_by}
        return {
            **choice,
            **self.request.identity(),
            **{name: origin.identity for name, origin in self.origins.items() if origin},
            "version": KEY_VERSION,
            "rows": self.source.rows_key,
            "head": self.name,
            "settings": self.identity,
            "expressions": list(self.source.expressions),
            "prompts": self.prompts_key,
            "crops": self.source.crops,
            **({"shifted": self.source.shifted_key} if self.plugin.learns_shift else {}),
        }

    def run_key(self, seed: int) -> str:
        """The key of a run: of everything that changes its numbers."""
        return key_of({**self.run_identity, "seed": seed})

    def run_name(self, seed: int) -> str:
        """The name of a run. Raises UsageError if it is too long."""
        encoder = self.source.table.provenance["encoder"]
        key = self.run_key(seed)
        name = f"{encoder}-{self.source.slug}-{self.name}-{self.trunk}-{seed}-{key[:8]}"
        check_file_name("The run's name", name)
        return name

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
    return plans_on(cache(partial(read_source, settings, request, read)), request)  # heads share their source


def plans_on(read: ReadSource, request: TrainRequest) -> list[TrainingPlan]:
    """One plan per requested head, on the sources that `read` gives.

    Without a request for heads, those that compare with text are left out where the encoder has no prompts.
    """
    plugins = {name: registry.load("heads", name) for name in request.heads}
    chosen, plans = _head_settings(plugins, request.set), list[TrainingPlan]()
    for name, plugin in plugins.items():
        by_default = plugin.needs_text and "heads" not in request.model_fields_set
        if by_default and plans and plans[0].source.prompts is None:
            encoder = plans[0].source.table.provenance["encoder"]
            say_once(f"note: {name} is left out: the cache has no prompts by {encoder}")
        else:
            plans.append(plan_of(name, chosen[name], request, read=read))
    return plans


def plan_of(name: str, chosen: HeadSettings, request: TrainRequest, read: ReadSource) -> TrainingPlan:
    """The plan for one head. Raises UsageError if the source lacks what the head needs."""
    plugin: type[Head] = registry.load("heads", name)
    identity = _identity_of(chosen)
    recipe = chosen.recipe if isinstance(chosen, FitSettings) else CLEAN
    side = chosen.crops if isinstance(chosen, TrunkSettings) else None
    source = read(recipe=recipe, with_crops=plugin.needs_crops(chosen), side=side)
    plan = TrainingPlan(
        name, plugin, chosen, identity=identity, source=source, task=_task(source, plugin, name), request=request
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


def _task(source: Source, plugin: type[Head], head_name: str) -> Task:
    if plugin.needs_text and source.prompts is None:
        with_text = extract_command(source.table, DEFAULT_ENCODER)
        raise UsageError(
            f"{head_name} compares faces with text, but {source.table.provenance['encoder']} has no prompt table. "
            f"Choose another head, such as --head sigmoid-mask, or an encoder that encodes text: {with_text}"
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
            say_once(f"note: {chosen.trunk_weights}: entries that {chosen.trunk} does not use: {listed(unused)}")


@dataclass(frozen=True)
class PlannedRun:
    """A head with a seed, and the folder where their run is or will be."""

    plan: TrainingPlan
    seed: int
    folder: Path


def planned(settings: Settings, plans: Sequence[TrainingPlan]) -> list[PlannedRun]:
    """Each head with each of its request's seeds; one without random parts with the first seed only.

    Raises UsageError for names that are too long.
    """
    asked = [(plan, plan.request.seeds if plan.plugin.seeded else plan.request.seeds[:1]) for plan in plans]
    folder = settings.cache / "runs"
    return [PlannedRun(plan, seed, folder / plan.run_name(seed)) for plan, seeds in asked for seed in seeds]


def warn_before_training(settings: Settings, runs: Sequence[PlannedRun]) -> None:
    """Warns of runs that an earlier version trained under other keys, and of sources too small to choose by."""
    plans = {id(run.plan): run.plan for run in runs}.values()
    for plan in plans:
        folders = [run.folder for run in runs if run.plan is plan]
        asked, prompts = plan.settings.model_dump(mode="json"), set_label(plan.request.prompts)
        wanted = Wanted(asked, plan.request, prompts, origins=plan.origins, chosen_by=plan.chosen_by)
        warn_trained_again(settings.cache, folders, wanted, encoder_identity=plan.source.table.identity["encoder"])
    warn_few({id(plan.source): plan.source for plan in plans}.values())


def train_run(run: PlannedRun, report: Report | None = None, step: Step | None = None) -> RunFiles:
    """Trains a head; returns the files of its run. `report` and `step` are called as by `train_head`."""
    plan, source, task = run.plan, run.plan.source, run.plan.task
    start = time.perf_counter()
    _, fitted = plan.fit(run.seed, report, step)
    parts = [SourcePart(name=str(part.name.whole), split=part.split, key=part.table.clean_key) for part in source.parts]
    config = RunConfig(
        name=run.folder.name,
        key_version=KEY_VERSION,
        key=plan.run_key(run.seed),
        method_key=key_of(plan.run_identity),
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
        seed=run.seed,
        expressions=list(source.expressions),
        dimension=task.dimension,
        crop_side=task.crop_side,
        views=source.views,
        **plan.request.part(LearningOptions),
        prompts=set_label(plan.request.prompts) if plan.prompts_key else None,
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
    return run_files(
        run.folder, config=config.model_dump(mode="json", by_alias=True), history=fitted.history, snapshots=snapshots
    )
