"""What heads learn from: a source's faces, split into those to train on and source validation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fercache.datasets import DatasetName, default_split
from fercache.devices import resolve_device
from fercache.errors import UsageError
from fercache.expressions import first_expressions
from fercache.heads import Batch
from fercache.identity import seed_from
from fercache.prompts import set_label
from fercache.settings import Settings
from fercache.stages.finding import find_prompts, find_table
from fercache.stages.labelled import LabelledFaces, LabelPolicy, labelled_faces
from fercache.stages.stored_faces import StoredViews, as_batch, crops_of, stored_views
from fercache.store.crops import Crops
from fercache.store.prompts import PromptTable
from fercache.store.schema import CLEAN
from fercache.store.tables import FeatureTable, TableInfo, read_table
from fercache.training import split_validation

VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class TrainRequest:
    """What to train on which source. `set` overrides head settings by name; the values may be strings.

    `faces`: train on about so many, the same for every run, each expression in proportion.
    """

    source: str = "synthetic:studio"
    heads: tuple[str, ...] = ("sigmoid-mask", "text-similarity")
    encoder: str | None = None
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    set: Mapping[str, Any] = field(default_factory=dict)
    classes: int = 7
    policy: str = "majority"
    label_file: str | None = None
    prompts: str = "faces"
    faces: int | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Source:
    """The source's rows, split: `train` and `validation` on the device, and what describes them.

    `key` is that of the table with no more than the views that are used.
    """

    table: TableInfo
    key: str
    name: DatasetName
    split: str
    expressions: tuple[str, ...]
    train: Batch
    validation: Batch
    dropped: Mapping[str, int]
    prompts: PromptTable | None
    device: str
    views: StoredViews | None
    crops: Crops | None


def read_source(
    settings: Settings, request: TrainRequest, *, recipe: str = CLEAN, with_crops: bool = False, side: int | None = None
) -> Source:
    """The source asked for, with the views of a `recipe`, and crops (of a `side`, else those stored last).

    Raises UsageError when it was not extracted with all that, or has too few labels.
    """
    name = DatasetName.parse(request.source)
    info = find_table(settings.cache, request.source, request.encoder, recipe)
    crops = crops_of(settings.cache, info, side) if with_crops else None
    table = read_table(info.path)
    split = name.split or default_split(set(table.columns.split), "train", str(name))
    wanted = LabelPolicy(first_expressions(request.classes), request.policy, request.label_file)
    counted = np.bincount(labelled_faces(table, name, split, wanted).truth, minlength=len(wanted.expressions))
    present = tuple(e for e, count in zip(wanted.expressions, counted, strict=True) if count)
    if len(present) < 2:
        raise UsageError(f"{name} has labelled faces of {len(present)} expressions; training needs two or more.")
    policy = LabelPolicy(present, request.policy, request.label_file)
    train_faces, validation_faces = _split_source(table, name, split, policy)
    train_faces = _some_of(train_faces, request.faces, seed_from("faces", table.clean_key, split))
    device = resolve_device(request.device)
    return Source(
        table=info,
        name=name,
        split=split,
        expressions=present,
        key=info.clean_key if recipe == CLEAN else info.key,
        train=as_batch(train_faces, crops, device),
        validation=as_batch(validation_faces, crops, device),
        dropped=train_faces.dropped,
        prompts=find_prompts(settings.cache, info, set_label(request.prompts)),
        device=device,
        views=None if recipe == CLEAN else stored_views(table, train_faces, device),
        crops=crops,
    )


def _split_source(
    table: FeatureTable, name: DatasetName, split: str, policy: LabelPolicy
) -> tuple[LabelledFaces, LabelledFaces]:
    """Train, and the set's own validation split where it has one, else a tenth of train, the same for every run."""
    faces = labelled_faces(table, name, split, policy)
    if split == "train" and "validation" in table.columns.split:
        return faces, labelled_faces(table, name, "validation", policy)
    seed = seed_from("validation", table.clean_key, split)
    held_out = split_validation(faces.truth, faces.subject, VALIDATION_SHARE, seed)
    return faces.take(~held_out), faces.take(held_out)


def _some_of(faces: LabelledFaces, count: int | None, seed: int) -> LabelledFaces:
    """About `count` of the faces, each expression in proportion; all of them where there are no more."""
    if count is None or count >= len(faces.truth):
        return faces
    alone = np.full(len(faces.truth), "", dtype=object)
    return faces.take(split_validation(faces.truth, alone, count / len(faces.truth), seed))
