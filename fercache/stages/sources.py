"""What heads learn from: a source's faces, split into those to train on and source validation."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fercache import registry
from fercache.datasets import POOL, DatasetName, default_split, source_names, source_slug
from fercache.devices import resolve_device
from fercache.errors import UsageError
from fercache.expressions import first_expressions
from fercache.heads import Batch
from fercache.identity import key_of, seed_from
from fercache.settings import Settings
from fercache.stages.finding import find_prompts, find_table, same_encoder
from fercache.stages.labelled import LabelledFaces, LabelPolicy, labelled_faces
from fercache.stages.stored_faces import StoredViews, as_batch, crops_of, pooled, pooled_views, stored_views
from fercache.store.crops import Crops
from fercache.store.prompts import PromptTable
from fercache.store.schema import CLEAN
from fercache.store.tables import FeatureTable, TableInfo, read_table
from fercache.training import split_validation

VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class TrainRequest:
    """What to train on which source: one set, or several pooled, `A & B`.

    `set` overrides head settings by name; the values may be strings. `faces`: train on about so many, the same for
    every run, each expression in proportion.
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
class Part:
    """One of the sets that a source is made of: the table, the split to train on, and the crops where there are any.

    `key` is that of the table with no more than the views that are used.
    """

    table: TableInfo
    key: str
    name: DatasetName
    split: str
    crops: Crops | None


@dataclass(frozen=True)
class Source:
    """The source's rows, split: `train` and `validation` on the device, and what describes them."""

    parts: tuple[Part, ...]
    expressions: tuple[str, ...]
    train: Batch
    validation: Batch
    dropped: Mapping[str, int]
    prompts: PromptTable | None
    device: str
    views: StoredViews | None

    @property
    def name(self) -> str:
        """The sets, without their splits."""
        return POOL.join(str(part.name.whole) for part in self.parts)

    @property
    def split(self) -> str:
        """The split that is trained on; several, joined by commas, where the sets' splits differ."""
        return ",".join(dict.fromkeys(part.split for part in self.parts))

    @property
    def slug(self) -> str:
        """The source in the names of runs, with the splits that were asked for."""
        asked = [part.name.split for part in self.parts if part.name.split]
        return source_slug([part.name for part in self.parts]) + (f"@{'-'.join(asked)}" if asked else "")

    @property
    def key(self) -> str:
        """What changes when the features do."""
        return one_key([part.key for part in self.parts])

    @property
    def crops_key(self) -> str | None:
        """What changes when the crops do."""
        keys = [part.crops.info.key for part in self.parts if part.crops]
        return one_key(keys) if keys else None

    @property
    def table(self) -> TableInfo:
        """The first set's table; the others are by the same encoder."""
        return self.parts[0].table


def one_key(keys: Sequence[str]) -> str:
    """One key for several things; a single one's is its own."""
    return keys[0] if len(keys) == 1 else key_of({"pool": list(keys)})


def read_source(
    settings: Settings, request: TrainRequest, *, recipe: str = CLEAN, with_crops: bool = False, side: int | None = None
) -> Source:
    """The source asked for, with the views of a `recipe`, and crops (of a `side`, else those stored last).

    Raises UsageError when it was not extracted with all that, or has too few labels.
    """
    parts = _parts(settings, request, recipe, with_crops, side)
    tables = [read_table(part.table.path) for part in parts]
    wanted = LabelPolicy(first_expressions(request.classes), request.policy, request.label_file)
    labelled = [labelled_faces(t, p.name, p.split, wanted).truth for t, p in zip(tables, parts, strict=True)]
    counted = np.bincount(np.concatenate(labelled), minlength=len(wanted.expressions))
    present = tuple(e for e, count in zip(wanted.expressions, counted, strict=True) if count)
    if len(present) < 2:
        raise UsageError(
            f"{request.source} has labelled faces of {len(present)} expressions; training needs two or more."
        )
    policy = LabelPolicy(present, request.policy, request.label_file)
    faces = [_split_source(table, part, policy) for table, part in zip(tables, parts, strict=True)]
    faces = _some_of(faces, parts, request.faces)
    device = resolve_device(request.device)
    train, validation = (
        pooled([as_batch(each[i], part.crops, device) for each, part in zip(faces, parts, strict=True)], len(present))
        for i in (0, 1)
    )
    dropped: Counter[str] = Counter()
    for train_faces, _ in faces:
        dropped.update(train_faces.dropped)
    views = None
    if recipe != CLEAN:
        views = pooled_views([stored_views(t, each[0], device) for t, each in zip(tables, faces, strict=True)])
    return Source(
        parts=parts,
        expressions=present,
        train=train,
        validation=validation,
        dropped=dict(dropped),
        prompts=find_prompts(settings.cache, parts[0].table, request.prompts),
        device=device,
        views=views,
    )


def _parts(
    settings: Settings, request: TrainRequest, recipe: str, with_crops: bool, side: int | None
) -> tuple[Part, ...]:
    """The source's sets. Raises UsageError where one was not extracted with what is asked for, or not as the others."""
    parts = []
    for name in source_names(request.source):
        info = find_table(settings.cache, str(name), request.encoder, recipe)
        split = name.split or default_split(info.splits, "train", str(name))
        crops = crops_of(settings.cache, info, side) if with_crops else None
        parts.append(Part(info, info.clean_key if recipe == CLEAN else info.key, name, split, crops))
    first = parts[0]
    for part in parts[1:]:
        both = f"{first.name.whole} and {part.name.whole} cannot make one source"
        if not same_encoder(part.table.identity["encoder"], first.table.identity["encoder"]):
            raise UsageError(f"{both}: their tables are of different encoders. Choose one with --encoder.")
        if recipe != CLEAN and part.table.views != first.table.views:
            counts = f"{len(first.table.views) - 1} and {len(part.table.views) - 1}"
            raise UsageError(f"{both}: they have {counts} views of {recipe}. Extract both with the same --views.")
        if first.crops and part.crops and part.crops.info.side != first.crops.info.side:
            sides = f"{first.crops.info.side} and {part.crops.info.side}"
            raise UsageError(f"{both}: their crops have {sides} pixels. Choose with --set crops=SIDE.")
    return tuple(parts)


_Split = tuple[LabelledFaces, LabelledFaces]
"""Faces to train on, and those of source validation."""


def _split_source(table: FeatureTable, part: Part, policy: LabelPolicy) -> _Split:
    """Train, and the set's own validation split where it may be looked at, else a tenth of train, always the same."""
    faces = labelled_faces(table, part.name, part.split, policy)
    if part.split == "train" and has_spare_validation(table, part.name):
        return faces, labelled_faces(table, part.name, "validation", policy)
    seed = seed_from("validation", table.clean_key, part.split)
    held_out = split_validation(faces.truth, faces.subject, VALIDATION_SHARE, seed)
    return faces.take(~held_out), faces.take(held_out)


def has_spare_validation(table: FeatureTable, name: DatasetName) -> bool:
    """Whether there is a validation split that is not scored: where there is no test split, it is (SFEW, AffectNet)."""
    splits, wanted = set(table.columns.split), registry.load("datasets", name.family).target_split
    return "validation" in splits and default_split(splits, wanted or "test", str(name)) != "validation"


def _some_of(splits: list[_Split], parts: Sequence[Part], count: int | None) -> list[_Split]:
    """About `count` faces to train on over all parts, each expression in proportion; all where there are no more."""
    there = sum(len(train.truth) for train, _ in splits)
    if count is None or count >= there:
        return splits
    seeds = [seed_from("faces", part.table.clean_key, part.split) for part in parts]
    return [(_share_of(train, count / there, seed), rest) for (train, rest), seed in zip(splits, seeds, strict=True)]


def _share_of(faces: LabelledFaces, share: float, seed: int) -> LabelledFaces:
    alone = np.full(len(faces.truth), "", dtype=object)
    return faces.take(split_validation(faces.truth, alone, share, seed))
