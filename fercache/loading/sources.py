"""What heads learn from: a source's faces, split into those to train on and source validation."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.datasets import DatasetName, has_spare_validation, source_names, source_slug
from fercache.errors import UsageError
from fercache.expressions import first_expressions
from fercache.heads import Batch
from fercache.identity import canonical_json, key_of, seed_from
from fercache.loading.batches import as_batch, crops_of, pooled, pooled_views, stored_views
from fercache.loading.labelled_faces import LabelledFaces, LabelPolicy, labelled_faces
from fercache.loading.tables import find_prompts, find_shifted, find_table, same_encoder
from fercache.loading.validation_rows import split_folds, split_validation
from fercache.options.train import TrainRequest
from fercache.runtime.devices import resolve_device
from fercache.settings import Settings
from fercache.splits import POOL, default_split
from fercache.store.crops import Crops
from fercache.store.prompts import PromptTable
from fercache.store.schema import CLEAN
from fercache.store.tables import RECIPE, FeatureTable, TableInfo, read_table
from fercache.training import SourceFaces

VALIDATION_SHARE = 0.1
FEWEST = 5
"""Faces of an expression in source validation below which nothing is chosen by them."""
FOLDS = 5


@dataclass(frozen=True)
class Part:
    """One of the sets that a source is made of: the table, the split to train on, and the crops where there are any."""

    table: TableInfo
    name: DatasetName
    split: str
    crops: Crops | None


@dataclass(frozen=True)
class Source:
    """The source's rows on the device, and what describes them.

    `rows_key` changes with whatever a head learns from or is validated on, and with nothing else: another label of a
    test face changes the table, but not what is trained. `copies` are the faces of source validation that were left out
    because their picture is trained on.
    """

    parts: tuple[Part, ...]
    expressions: tuple[str, ...]
    faces: SourceFaces
    rows_key: str
    views: int
    copies: int
    dropped: Mapping[str, int]
    prompts: PromptTable | None
    device: str
    few: tuple[str, ...] = ()
    """Expressions of which source validation has fewer than FEWEST faces: `faces` then have `folds`."""

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
    def crops(self) -> dict[str, Any] | None:
        """What changes crops, besides the faces that they show."""
        crops = self.parts[0].crops
        return {"side": crops.info.side, "geometry": dict(crops.info.geometry)} if crops else None

    @property
    def table(self) -> TableInfo:
        """The first set's table; the others are by the same encoder."""
        return self.parts[0].table


def one_key(keys: Sequence[str]) -> str:
    """One key for several things; a single one's is its own."""
    return keys[0] if len(keys) == 1 else key_of({"pool": list(keys)})


@dataclass(frozen=True)
class _Learned:
    """The labelled faces of one part: to train on, of source validation, and those of the latter in changed pictures.

    `held_out` is the split that source validation is of.
    """

    table: FeatureTable
    part: Part
    train: LabelledFaces
    validation: LabelledFaces
    held_out: str
    shifted: LabelledFaces | None = None

    @property
    def sets(self) -> tuple[LabelledFaces | None, ...]:
        """In the order of `SourceFaces`."""
        return self.train, self.validation, self.shifted


def read_source(
    settings: Settings, request: TrainRequest, *, recipe: str = CLEAN, with_crops: bool = False, side: int | None = None
) -> Source:
    """The source asked for, with the views of a `recipe`, and crops (of a `side`, else those stored last).

    Raises UsageError when it was not extracted with all that, or has too few labels.
    """
    parts = _parts(settings, request, recipe, with_crops=with_crops, side=side)
    tables = [read_table(part.table.path) for part in parts]
    policy = _present(request, tables, parts)
    learned = [_learned(table, part, policy) for table, part in zip(tables, parts, strict=True)]
    learned, copies = (learned, 0) if request.keep_validation_copies else _without_copies(learned)
    learned = [replace(each, shifted=_shifted(settings.cache, each, policy)) for each in learned]
    learned = _some_of(learned, request.faces)
    device = resolve_device(request.device)
    dropped: Counter[str] = Counter()
    for each in learned:
        dropped.update(each.train.dropped)
    faces, few = _on_device(learned, device, len(policy.expressions), with_views=recipe != CLEAN), _few(learned, policy)
    return Source(
        parts=parts,
        expressions=policy.expressions,
        faces=replace(faces, folds=_folds(learned)) if few else faces,
        rows_key=_rows_key(learned, policy, recipe != CLEAN),
        views=len(parts[0].table.views) - 1 if recipe != CLEAN else 0,
        copies=copies,
        dropped=dict(dropped),
        prompts=find_prompts(settings.cache, parts[0].table, request.prompts),
        device=device,
        few=few,
    )


def _few(learned: Sequence[_Learned], policy: LabelPolicy) -> tuple[str, ...]:
    truth = np.concatenate([each.validation.truth for each in learned])
    counts = np.bincount(truth, minlength=len(policy.expressions))
    return tuple(e for e, count in zip(policy.expressions, counts, strict=True) if count < FEWEST)


def _folds(learned: Sequence[_Learned]) -> NDArray[np.int64]:
    """(N,) which fold a face to train on is of: about as many of each expression in each, and whole subjects."""
    return np.concatenate([split_folds(each.train.truth, each.train.subject, FOLDS) for each in learned])


def _present(request: TrainRequest, tables: Sequence[FeatureTable], parts: Sequence[Part]) -> LabelPolicy:
    """The label policy, with the expressions that the source shows. Raises UsageError where they are fewer than two."""
    wanted = LabelPolicy(first_expressions(request.classes), request.votes, request.labels)
    labelled = [labelled_faces(t, p.name, p.split, policy=wanted).truth for t, p in zip(tables, parts, strict=True)]
    counted = np.bincount(np.concatenate(labelled), minlength=len(wanted.expressions))
    present = tuple(e for e, count in zip(wanted.expressions, counted, strict=True) if count)
    if len(present) < 2:
        raise UsageError(
            f"{request.source} has labelled faces of {len(present)} expressions; training needs two or more."
        )
    return LabelPolicy(present, request.votes, request.labels)


def _on_device(learned: Sequence[_Learned], device: str, expressions: int, with_views: bool) -> SourceFaces:
    """All parts, one after the other."""

    def batch(which: int) -> Batch | None:
        sets = [each.sets[which] for each in learned]
        crops = [each.part.crops if which < 2 else None for each in learned]
        there = [as_batch(faces, c, device) for faces, c in zip(sets, crops, strict=True) if faces is not None]
        return pooled(there, expressions) if len(there) == len(learned) else None

    train, validation, shifted = map(batch, range(3))
    assert train is not None and validation is not None
    views = pooled_views([stored_views(each.table, each.train, device) for each in learned]) if with_views else None
    # A head that looks at pixels has no changed pictures to look at: only features of them are stored.
    return SourceFaces(train, validation, None if train.crops is not None else shifted, views)


def _rows_key(learned: Sequence[_Learned], policy: LabelPolicy, with_views: bool) -> str:
    """Of all that a head learns from: the encoder, the views, and the pictures and labels of the rows, in order."""
    return key_of(
        {
            "encoder": [each.table.identity["encoder"] for each in learned],
            "views": [each.table.identity.get(RECIPE) for each in learned] if with_views else None,
            "train": [_digest(each.table, each.train, policy) for each in learned],
            "validation": [_digest(each.table, each.validation, policy) for each in learned],
        }
    )


def _digest(table: FeatureTable, faces: LabelledFaces, policy: LabelPolicy) -> str:
    """Of ids, pictures, subjects and labels, in order."""
    digest = hashlib.sha256(canonical_json([list(faces.id), list(faces.subject)]).encode())
    digest.update(table.columns.pixel_sha256[faces.row].tobytes())
    digest.update(canonical_json([policy.expressions[index] for index in faces.truth]).encode())
    if faces.distribution is not None:
        digest.update(faces.distribution.tobytes())
    return digest.hexdigest()


def _parts(
    settings: Settings, request: TrainRequest, recipe: str, with_crops: bool, side: int | None
) -> tuple[Part, ...]:
    """The source's sets. Raises UsageError where one was not extracted with what is asked for, or not as the others."""
    parts = []
    for name in source_names(request.source):
        info = find_table(settings.cache, str(name), request.encoder, recipe=recipe)
        split = name.split or default_split(info.splits, "train", str(name))
        crops = crops_of(settings.cache, info, side) if with_crops else None
        parts.append(Part(info, name, split, crops))
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


def _learned(table: FeatureTable, part: Part, policy: LabelPolicy) -> _Learned:
    """Train, and the set's own validation split where it may be looked at, else a tenth of train, always the same."""
    faces = labelled_faces(table, part.name, part.split, policy=policy)
    if part.split == "train" and has_spare_validation(set(table.columns.split), part.name):
        return _Learned(
            table,
            part,
            faces,
            validation=labelled_faces(table, part.name, "validation", policy=policy),
            held_out="validation",
        )
    seed = seed_from("validation", _digest(table, faces, policy))
    held_out = split_validation(faces.truth, faces.subject, VALIDATION_SHARE, seed=seed)
    return _Learned(table, part, faces.take(~held_out), validation=faces.take(held_out), held_out=part.split)


def _shifted(cache: Path, learned: _Learned, policy: LabelPolicy) -> LabelledFaces | None:
    """The faces of source validation in changed pictures; None where they were not extracted."""
    info = find_shifted(cache, learned.part.table, learned.part.name, split=learned.held_out)
    if info is None:
        return None
    changed = read_table(info.path)
    faces = labelled_faces(changed, learned.part.name, learned.held_out, policy=policy)
    files = learned.table.columns.file_sha256[learned.validation.row]
    wanted = {(id, file.tobytes()) for id, file in zip(learned.validation.id, files, strict=True)}
    there = zip(faces.id, changed.columns.file_sha256[faces.row], strict=True)
    kept = np.array([(id, file.tobytes()) in wanted for id, file in there], dtype=bool)
    return faces.take(kept) if kept.any() else None


def _without_copies(learned: Sequence[_Learned]) -> tuple[list[_Learned], int]:
    """Without the faces of source validation whose picture, pixel for pixel, is trained on; and how many they are.

    Raises UsageError where none is left.
    """
    trained = {pixels.tobytes() for each in learned for pixels in each.table.columns.pixel_sha256[each.train.row]}
    kept, copies = [], 0
    for each in learned:
        pixels = each.table.columns.pixel_sha256[each.validation.row]
        new = np.array([row.tobytes() not in trained for row in pixels], dtype=bool)
        copies += int((~new).sum())
        kept.append(replace(each, validation=each.validation.take(new)))
    if copies and not any(len(each.validation.truth) for each in kept):
        raise UsageError(
            f"Source validation: all of its {copies:,} faces show pictures that are trained on, so nothing can be "
            "chosen by them. Keep them all the same with --keep-validation-copies, or look for the copies: "
            f"fercache audit {' '.join(str(each.part.name.whole) for each in learned)}"
        )
    return kept, copies


def _some_of(learned: list[_Learned], count: int | None) -> list[_Learned]:
    """About `count` faces to train on over all parts, each expression in proportion; all where there are no more."""
    there = sum(len(each.train.truth) for each in learned)
    if count is None or count >= there:
        return learned
    return [replace(each, train=_share_of(each.train, count / there)) for each in learned]


def _share_of(faces: LabelledFaces, share: float) -> LabelledFaces:
    seed = seed_from("faces", list(faces.id))
    alone = np.full(len(faces.truth), "", dtype=object)
    return faces.take(split_validation(faces.truth, alone, share, seed=seed))
