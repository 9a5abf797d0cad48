"""A source's faces, split into training rows and source validation."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
from fercache.images.corruptions import SHIFTED
from fercache.loading.batches import as_batch, crops_of, stored_views
from fercache.loading.few_labelled import few_labelled, labels_of_run, read_few, repeated
from fercache.loading.labelled_faces import LabelledFaces, Labelling, labelled_faces
from fercache.loading.run_config import FewLabels
from fercache.loading.tables import find_prompts, find_shifted, find_table, same_encoder
from fercache.loading.validation_rows import split_folds, split_validation
from fercache.options.train import TrainRequest
from fercache.output_paths import shown
from fercache.runtime.devices import resolve_device
from fercache.settings import Settings
from fercache.splits import POOL, default_split
from fercache.store.crops import CropFile
from fercache.store.prompts import PromptTable
from fercache.store.schema import CLEAN
from fercache.store.tables import RECIPE, FeatureTable, TableInfo, read_table
from fercache.training import SourceFaces

VALIDATION_SHARE = 0.1
FEWEST = 5
"""Source validation with fewer faces of an expression is too small to choose by."""
FOLDS = 5


@dataclass(frozen=True)
class Part:
    """One dataset of a source: its table, the split to train on, and its crops, if needed."""

    table: TableInfo
    name: DatasetName
    split: str
    crops: CropFile | None


@dataclass(frozen=True)
class Source:
    """The source's rows on the device, and their description.

    `rows_key` changes with whatever a head learns from or is validated on, and with nothing else: another label of a
    test face changes the table, but not `rows_key`. `copies` counts the source validation faces that were left out
    because their image is in the training rows.
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
    shifted_key: str | None = None
    """The key of the shifted images, for heads that learn from them; None without."""
    few: tuple[str, ...] = ()
    """Expressions with fewer than FEWEST faces in source validation; if there are any, `faces` have `folds`."""
    few_labels: FewLabels | None = None
    """The labelled faces of a target; they come after `own_rows` training faces of the source, several times each."""
    own_rows: int = 0

    @property
    def name(self) -> str:
        """The datasets, without their splits."""
        return POOL.join(str(part.name.whole) for part in self.parts)

    @property
    def split(self) -> str:
        """The split that is trained on; if the datasets' splits differ, all of them, joined by commas."""
        return ",".join(dict.fromkeys(part.split for part in self.parts))

    @property
    def slug(self) -> str:
        """The source in the names of runs, with the requested splits."""
        asked = [part.name.split for part in self.parts if part.name.split]
        return source_slug([part.name for part in self.parts]) + (f"@{'-'.join(asked)}" if asked else "")

    @property
    def crops(self) -> dict[str, Any] | None:
        """Everything that changes the pixels of crops, except their faces."""
        crops = self.parts[0].crops
        return {"side": crops.info.side, "geometry": dict(crops.info.geometry)} if crops else None

    @property
    def table(self) -> TableInfo:
        """The first dataset's table; the others are of the same encoder."""
        return self.parts[0].table

    @property
    def content_key(self) -> str:
        """A key of everything that a head can read of the source."""
        prompts = None if self.prompts is None else key_of(self.prompts.identity)
        return key_of({"rows": self.rows_key, "shifted": self.shifted_key, "prompts": prompts, "crops": self.crops})


def one_key(keys: Sequence[str]) -> str:
    """One key for several; a single key is returned unchanged."""
    return keys[0] if len(keys) == 1 else key_of({"pool": list(keys)})


@dataclass(frozen=True)
class _Learned:
    """The labelled faces of one part: training rows, source validation, and the latter in shifted images.

    `held_out` is the split that source validation is taken from. `unshifted` are the faces of `shifted`, in the same
    order.
    """

    table: FeatureTable
    part: Part
    train: LabelledFaces
    validation: LabelledFaces
    held_out: str
    shifted: LabelledFaces | None = None

    @property
    def unshifted(self) -> LabelledFaces | None:
        if self.shifted is None:
            return None
        row = {id: row for row, id in enumerate(self.validation.id)}
        return self.validation.take(np.array([row[id] for id in self.shifted.id]))

    def as_few(self, labelling: Labelling) -> FewLabels:
        """What a run stores of a target's labelled faces."""
        return labels_of_run(self.part.name, self.table, self.train, expressions=labelling.expressions)

    @property
    def subsets(self) -> tuple[LabelledFaces | None, ...]:
        """In the order of `SourceFaces`."""
        return self.train, self.validation, self.shifted, self.unshifted


def read_source(
    settings: Settings,
    request: TrainRequest,
    read: Callable[[Path], FeatureTable] = read_table,
    *,
    recipe: str = CLEAN,
    with_crops: bool = False,
    side: int | None = None,
) -> Source:
    """The requested source, with the views of a `recipe`, and crops of `side` pixels (default: those requested last).

    `read` gives the rows of a table, or some of them. Raises UsageError if they are not extracted or the source has too
    few labels.
    """
    parts = _parts(settings, request, recipe, with_crops=with_crops, side=side)
    tables = [read(part.table.path) for part in parts]
    labelling = _present(request, tables, parts)
    learned = [_learned(table, part, labelling) for table, part in zip(tables, parts, strict=True)]
    learned, copies = (learned, 0) if request.keep_validation_copies else _without_copies(learned)
    learned = [replace(each, shifted=_shifted(settings.cache, each, labelling)) for each in learned]
    learned = _some_of(learned, request.faces)
    own_rows = sum(len(each.train.truth) for each in learned)
    few = _few_of(settings, request, parts, recipe=recipe, labelling=labelling, rows=own_rows)
    device = resolve_device(request.device)
    dropped: Counter[str] = Counter()
    for each in learned:
        dropped.update(each.train.dropped)
    faces = _on_device(learned, few, device, expressions=len(labelling.expressions), with_views=recipe != CLEAN)
    lacking = _lacking(learned, labelling)
    return Source(
        parts=parts,
        expressions=labelling.expressions,
        faces=replace(faces, folds=_folds(learned, few)) if lacking else faces,
        rows_key=_rows_key(learned, few, labelling, with_views=recipe != CLEAN),
        shifted_key=_shifted_key(learned),
        views=len(parts[0].table.views) - 1 if recipe != CLEAN else 0,
        copies=copies,
        dropped=dict(dropped),
        prompts=find_prompts(settings.cache, parts[0].table, request.prompts),
        device=device,
        few=lacking,
        few_labels=None if few is None else few.as_few(labelling),
        own_rows=own_rows,
    )


def _lacking(learned: Sequence[_Learned], labelling: Labelling) -> tuple[str, ...]:
    truth = np.concatenate([each.validation.truth for each in learned])
    counts = np.bincount(truth, minlength=len(labelling.expressions))
    return tuple(e for e, count in zip(labelling.expressions, counts, strict=True) if count < FEWEST)


def _folds(learned: Sequence[_Learned], few: _Learned | None) -> NDArray[np.int64]:
    """(N,) the fold of each training face: stratified by expression, subjects kept whole. Faces of a target are in none
    (-1): they never select."""
    folds = [split_folds(each.train.truth, each.train.subject, FOLDS) for each in learned]
    return np.concatenate([*folds, np.full(0 if few is None else len(few.train.truth), -1)])


def _few_of(
    settings: Settings, request: TrainRequest, parts: Sequence[Part], *, recipe: str, labelling: Labelling, rows: int
) -> _Learned | None:
    """The requested labelled faces of a target, repeated for `rows` of the source; None without a request.

    Raises UsageError for a wrong list, and if they are of the source.
    """
    if request.few is None:
        return None
    listed, first = read_few(request.few), parts[0]
    name = listed.target
    if name.clean in [part.name.clean for part in parts]:
        raise UsageError(
            f"{shown(request.few)} has faces of {name.whole}, which is the source. List faces of another dataset: "
            "fercache suggest TARGET --for training"
        )
    info = find_table(settings.cache, str(name), first.table.provenance["encoder"], recipe=recipe)
    part = Part(info, name, "", crops_of(settings.cache, info, first.crops.info.side) if first.crops else None)
    _check_alike(first, part, recipe)
    table = read_table(info.path)
    faces = few_labelled(listed, table, labelling.expressions)
    times = repeated(faces, rows, len(labelling.expressions))
    return _Learned(table, part, times, validation=faces.take(np.arange(0)), held_out="")


def _present(request: TrainRequest, tables: Sequence[FeatureTable], parts: Sequence[Part]) -> Labelling:
    """The labelling with the expressions present in the source. Raises UsageError for fewer than two."""
    wanted = Labelling(first_expressions(request.classes), request.votes, request.labels)
    labelled = [labelled_faces(t, p.name, p.split, labelling=wanted).truth for t, p in zip(tables, parts, strict=True)]
    counted = np.bincount(np.concatenate(labelled), minlength=len(wanted.expressions))
    present = tuple(e for e, count in zip(wanted.expressions, counted, strict=True) if count)
    if len(present) < 2:
        raise UsageError(
            f"{request.source}: training needs labelled faces of two or more expressions; found: "
            f"{', '.join(present) or 'none'}."
        )
    return Labelling(present, request.votes, request.labels)


def _on_device(
    learned: Sequence[_Learned], few: _Learned | None, device: str, *, expressions: int, with_views: bool
) -> SourceFaces:
    """All parts, one after the other; the labelled faces of a target are the last training faces."""
    trained = [*learned, *([] if few is None else [few])]

    def batch(which: int) -> Batch | None:
        pool = trained if which == 0 else learned
        subsets = [each.subsets[which] for each in pool]
        crops = [each.part.crops if which < 2 else None for each in pool]
        present = [(faces, c) for faces, c in zip(subsets, crops, strict=True) if faces is not None]
        return as_batch(present, expressions, device) if len(present) == len(pool) else None

    train, validation, shifted, unshifted = map(batch, range(4))
    assert train is not None and validation is not None
    views = stored_views([(each.table, each.train) for each in trained], device) if with_views else None
    if train.crops is not None:  # heads that read pixels get no shifted images: only their features are stored
        return SourceFaces(train, validation, views=views)
    return SourceFaces(train, validation, shifted, unshifted=unshifted, views=views)


def _rows_key(learned: Sequence[_Learned], few: _Learned | None, labelling: Labelling, *, with_views: bool) -> str:
    """The key of everything a head learns from: the encoder, the views, and the rows' images and labels, in order."""
    few_key = None if few is None else [str(few.part.name.whole), _digest(few.table, few.train, labelling)]
    return key_of(
        {
            "encoder": [each.table.identity["encoder"] for each in learned],
            "views": [each.table.identity.get(RECIPE) for each in learned] if with_views else None,
            "train": [_digest(each.table, each.train, labelling) for each in learned],
            "validation": [_digest(each.table, each.validation, labelling) for each in learned],
            **({} if few_key is None else {"few": few_key}),
        }
    )


def _shifted_key(learned: Sequence[_Learned]) -> str | None:
    shifted = [each.shifted for each in learned]
    if any(faces is None for faces in shifted):
        return None
    return key_of({"corruption": SHIFTED, "faces": [list(faces.id) for faces in shifted if faces is not None]})


def _digest(table: FeatureTable, faces: LabelledFaces, labelling: Labelling) -> str:
    """The hash of ids, subjects, images and labels, in order."""
    digest = hashlib.sha256(canonical_json([list(faces.id), list(faces.subject)]).encode())
    digest.update(table.columns.pixel_sha256[faces.row].tobytes())
    digest.update(canonical_json([labelling.expressions[index] for index in faces.truth]).encode())
    if faces.distribution is not None:
        digest.update(faces.distribution.tobytes())
    return digest.hexdigest()


def _parts(
    settings: Settings, request: TrainRequest, recipe: str, with_crops: bool, side: int | None
) -> tuple[Part, ...]:
    """The source's datasets. Raises UsageError if one is not extracted as requested, or unlike the others."""
    parts = []
    for name in source_names(request.source):
        info = find_table(settings.cache, str(name), request.encoder, recipe=recipe)
        split = name.split or default_split(info.splits, "train", str(name))
        crops = crops_of(settings.cache, info, side) if with_crops else None
        parts.append(Part(info, name, split, crops))
    for part in parts[1:]:
        _check_alike(parts[0], part, recipe)
    return tuple(parts)


def _check_alike(first: Part, part: Part, recipe: str) -> None:
    """Raises UsageError if the parts cannot be trained on together."""
    both = f"{first.name.whole} and {part.name.whole} cannot be pooled"
    if not same_encoder(part.table.identity["encoder"], first.table.identity["encoder"]):
        raise UsageError(f"{both}: their tables are of different encoders. Choose one with --encoder.")
    if recipe != CLEAN and part.table.views != first.table.views:
        counts = f"{len(first.table.views) - 1} and {len(part.table.views) - 1}"
        raise UsageError(f"{both}: they have {counts} views of {recipe}. Extract both with the same --views.")
    if first.crops and part.crops and part.crops.info.side != first.crops.info.side:
        sides = f"{first.crops.info.side} and {part.crops.info.side}"
        raise UsageError(f"{both}: their crops have {sides} pixels. Choose with --set crops=SIDE.")


def _learned(table: FeatureTable, part: Part, labelling: Labelling) -> _Learned:
    """Splits a part into training rows and source validation.

    Source validation is the dataset's own validation split where that is no target, else always the same tenth of the
    training split.
    """
    faces = labelled_faces(table, part.name, part.split, labelling=labelling)
    if part.split == "train" and has_spare_validation(set(table.columns.split), part.name):
        return _Learned(
            table,
            part,
            faces,
            validation=labelled_faces(table, part.name, "validation", labelling=labelling),
            held_out="validation",
        )
    seed = seed_from("validation", _digest(table, faces, labelling))
    held_out = split_validation(faces.truth, faces.subject, VALIDATION_SHARE, seed=seed)
    return _Learned(table, part, faces.take(~held_out), validation=faces.take(held_out), held_out=part.split)


def _shifted(cache: Path, learned: _Learned, labelling: Labelling) -> LabelledFaces | None:
    """The source validation faces in shifted images; None if they are not extracted."""
    info = find_shifted(cache, learned.part.table, learned.part.name, split=learned.held_out)
    if info is None:
        return None
    shifted = read_table(info.path)
    faces = labelled_faces(shifted, learned.part.name, learned.held_out, labelling=labelling)
    files = learned.table.columns.file_sha256[learned.validation.row]
    wanted = {(id, file.tobytes()) for id, file in zip(learned.validation.id, files, strict=True)}
    present = zip(faces.id, shifted.columns.file_sha256[faces.row], strict=True)
    kept = np.array([(id, file.tobytes()) in wanted for id, file in present], dtype=bool)
    return faces.take(kept) if kept.any() else None


def _without_copies(learned: Sequence[_Learned]) -> tuple[list[_Learned], int]:
    """Leaves out source validation faces whose pixels are also in the training rows; returns their number as well.

    Raises UsageError if none is left.
    """
    trained = np.concatenate([each.table.columns.digests(each.train.row) for each in learned])
    kept, copies = [], 0
    for each in learned:
        new = ~np.isin(each.table.columns.digests(each.validation.row), trained)
        copies += int((~new).sum())
        kept.append(replace(each, validation=each.validation.take(new)))
    if copies and not any(len(each.validation.truth) for each in kept):
        raise UsageError(
            f"Source validation: the images of all {copies:,} faces are also in the training rows, so none is left to "
            "choose by. Keep them with --keep-validation-copies, or list the copies: "
            f"fercache audit {' '.join(str(each.part.name.whole) for each in learned)}"
        )
    return kept, copies


def _some_of(learned: list[_Learned], count: int | None) -> list[_Learned]:
    """Subsamples the training faces of all parts to about `count`, stratified by expression."""
    total = sum(len(each.train.truth) for each in learned)
    if count is None or count >= total:
        return learned
    return [replace(each, train=_share_of(each.train, count / total)) for each in learned]


def _share_of(faces: LabelledFaces, share: float) -> LabelledFaces:
    seed = seed_from("faces", list(faces.id))
    alone = np.full(len(faces.truth), "", dtype=object)
    return faces.take(split_validation(faces.truth, alone, share, seed=seed))
