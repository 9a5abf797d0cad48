"""feature table -> runs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from fercache import registry
from fercache.datasets import DatasetName, default_split
from fercache.devices import resolve_device
from fercache.errors import UsageError, nearest
from fercache.expressions import first_expressions
from fercache.heads import Batch, Head, HeadSettings, Task
from fercache.identity import key_of, seed_from
from fercache.progress import progress
from fercache.prompts import set_label
from fercache.settings import Settings
from fercache.stages.extract import versions
from fercache.stages.finding import find_prompts, find_table
from fercache.stages.labelled import LabelledFaces, LabelPolicy, labelled_faces
from fercache.stages.loading import TASK
from fercache.stages.run_config import RunConfig
from fercache.store.prompts import PromptTable
from fercache.store.runs import write_run
from fercache.store.tables import FeatureTable, TableInfo, read_table
from fercache.training import build_head, split_validation, train_head

VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class TrainRequest:
    """What to train on which source. `set` overrides head settings by name; the values may be strings."""

    source: str = "synthetic:studio"
    heads: tuple[str, ...] = ("sigmoid-mask", "text-similarity")
    encoder: str | None = None
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    set: Mapping[str, Any] = field(default_factory=dict)
    classes: int = 7
    policy: str = "majority"
    label_file: str | None = None
    prompts: str = "faces"
    device: str = "auto"


@dataclass(frozen=True)
class Source:
    """The source's rows, split: `train` and `validation` on the device, and what describes them."""

    table: TableInfo
    name: DatasetName
    split: str
    expressions: tuple[str, ...]
    train: Batch
    validation: Batch
    dropped: Mapping[str, int]
    prompts: PromptTable | None
    device: str


def train(settings: Settings, request: TrainRequest) -> list[Path]:
    """Trains every head with every seed; returns the run folders. Finished runs are not trained again.

    Raises UsageError for an unknown head or setting, and for a source that was not extracted or has too few labels.
    """
    plugins = {name: registry.load("heads", name) for name in request.heads}
    head_settings = _head_settings(plugins, request.set)
    source = _read_source(settings, request)
    jobs = [(n, s) for n in plugins for s in (request.seeds if plugins[n].seeded else (request.seeds[0],))]
    folders = []
    with progress("train", len(jobs), "run") as bar:
        for name, seed in jobs:
            bar.set_postfix_str(f"{name}, seed {seed}", refresh=False)
            folders.append(_train_one(settings, request, source, name, plugins[name], head_settings[name], seed))
            bar.update()
    return folders


def _head_settings(plugins: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, HeadSettings]:
    """Each head takes the settings it knows; one that no head knows is refused."""
    known = {name for plugin in plugins.values() for name in plugin.Settings.model_fields}
    for name in given:
        if name not in known:
            raise UsageError(f"'{name}' is not a setting of {', '.join(plugins)}. {nearest(name, known)}")
    result = {}
    for head, plugin in plugins.items():
        mine = {name: value for name, value in given.items() if name in plugin.Settings.model_fields}
        try:
            result[head] = plugin.Settings.model_validate(mine)
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"--set {first['loc'][0]}={first['input']}: {first['msg']} (head {head}).") from None
    return result


def _read_source(settings: Settings, request: TrainRequest) -> Source:
    name = DatasetName.parse(request.source)
    info = find_table(settings.cache, request.source, request.encoder)
    table = read_table(info.path)
    split = name.split or default_split(set(table.columns.split), "train", str(name))
    wanted = LabelPolicy(first_expressions(request.classes), request.policy, request.label_file)
    counted = np.bincount(labelled_faces(table, name, split, wanted).truth, minlength=len(wanted.expressions))
    present = tuple(e for e, count in zip(wanted.expressions, counted, strict=True) if count)
    if len(present) < 2:
        raise UsageError(f"{name} has labelled faces of {len(present)} expressions; training needs two or more.")
    policy = LabelPolicy(present, request.policy, request.label_file)
    train_faces, validation_faces = _split_source(table, name, split, policy, info.key)
    device = resolve_device(request.device)
    return Source(
        table=info,
        name=name,
        split=split,
        expressions=present,
        train=_batch(train_faces, device),
        validation=_batch(validation_faces, device),
        dropped=train_faces.dropped,
        prompts=find_prompts(settings.cache, info, set_label(request.prompts)),
        device=device,
    )


def _split_source(
    table: FeatureTable, name: DatasetName, split: str, policy: LabelPolicy, key: str
) -> tuple[LabelledFaces, LabelledFaces]:
    """Train, and the set's own validation split where it has one, else a tenth of train, the same for every run."""
    faces = labelled_faces(table, name, split, policy)
    if split == "train" and "validation" in table.columns.split:
        return faces, labelled_faces(table, name, "validation", policy)
    held_out = split_validation(faces.truth, faces.subject, VALIDATION_SHARE, seed_from("validation", key, split))
    return faces.take(~held_out), faces.take(held_out)


def _batch(faces: LabelledFaces, device: str) -> Batch:
    soft = None if faces.distribution is None else torch.from_numpy(faces.distribution).to(device)
    return Batch(
        features=torch.from_numpy(faces.features.astype(np.float32)).to(device),
        labels=torch.from_numpy(faces.truth).to(device),
        distribution=soft,
    )


def _train_one(
    settings: Settings,
    request: TrainRequest,
    source: Source,
    head_name: str,
    plugin: type[Head],
    head_settings: HeadSettings,
    seed: int,
) -> Path:
    task = _task(source, plugin, head_name)
    trunk = getattr(head_settings, "trunk", "none")
    uses_text = plugin.needs_text and source.prompts is not None
    identity: dict[str, Any] = {
        "table": source.table.key,
        "split": source.split,
        "head": head_name,
        "settings": head_settings.model_dump(mode="json"),
        "expressions": list(source.expressions),
        "policy": request.policy,
        "label_file": request.label_file,
        "prompts": key_of(source.prompts.identity) if uses_text and source.prompts else None,
        "validation_share": VALIDATION_SHARE,
    }
    key = key_of({**identity, "seed": seed})
    at_split = f"@{source.split}" if source.name.split else ""
    encoder = source.table.provenance["encoder"]
    name = f"{encoder}-{source.name.slug}{at_split}-{head_name}-{trunk}-{seed}-{key[:8]}"
    folder = settings.cache / "runs" / name
    if (folder / "done").exists():
        return folder
    start = time.perf_counter()
    head = build_head(plugin, task, head_settings, seed_from("initialise", key)).to(source.device)
    fitted = train_head(head, source.train, source.validation, head_settings, seed=seed_from("train", key))
    config = RunConfig(
        name=name,
        key=key,
        method_key=key_of(identity),
        encoder=encoder,
        encoder_identity=source.table.identity["encoder"],
        encoder_request=source.table.provenance["encoder_request"],
        encoder_seen=source.table.provenance["seen"],
        source=str(source.name.whole),
        source_split=source.split,
        source_key=source.table.key,
        head=head_name,
        trunk=trunk,
        settings=identity["settings"],
        seed=seed,
        expressions=list(source.expressions),
        dimension=task.dimension,
        policy=request.policy,
        label_file=request.label_file,
        prompts=set_label(request.prompts) if uses_text else None,
        prompts_key=identity["prompts"],
        logit_scale=task.logit_scale,
        train_rows=len(source.train.labels),
        validation_rows=len(source.validation.labels),
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
    return write_run(folder, config=config.model_dump(mode="json"), history=fitted.history, snapshots=snapshots)


def _task(source: Source, plugin: type[Head], head_name: str) -> Task:
    if plugin.needs_text and source.prompts is None:
        raise UsageError(
            f"{head_name} compares faces with text, but {source.table.provenance['encoder']} has no prompt table. "
            f"Run fercache extract --dataset {source.table.identity['dataset']} with an encoder that knows text."
        )
    if not plugin.needs_text or source.prompts is None:
        return Task(source.expressions, source.train.features.shape[1])
    text = torch.from_numpy(source.prompts.per_expression(source.expressions)).to(source.device)
    return Task(source.expressions, source.train.features.shape[1], text, source.prompts.logit_scale)
