"""Rows of feature tables and crop files as batches for training and scoring: features, crops, augmented views."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fercache.errors import UsageError
from fercache.heads import Batch
from fercache.images.views import Framing, Recipe, draw_view, render_crop, view_names
from fercache.loading.features import FeaturesOnDisk, features_of
from fercache.loading.labelled_faces import LabelledFaces
from fercache.loading.tables import extract_command
from fercache.runtime.progress import say_once
from fercache.store.crops import CropFile, find_crops, read_crops, rows_of
from fercache.store.rows import take
from fercache.store.schema import CLEAN
from fercache.store.tables import RECIPE, FeatureTable, TableInfo
from fercache.trunks import Faces

USUAL_SIDE = 112
"""The side that messages suggest: KE2NT's; CAFE's is 224."""


@dataclass(frozen=True)
class StoredCrops:
    """Crops (N, S, S, 3), read on demand: face i is row `rows[i]` of `files[file[i]]`."""

    files: tuple[CropFile, ...]
    file: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Tensor) -> Tensor:
        file, rows = self.file[index.numpy()], self.rows[index.numpy()]
        pixels = np.empty((len(rows), *self.files[0].pixels.shape[1:]), np.uint8)
        for number in np.unique(file):
            pixels[file == number] = self.files[number].pixels[rows[file == number]]
        return torch.from_numpy(pixels)


@dataclass(frozen=True)
class AugmentedCrops:
    """The same crops, face i in view `view[i]` of a recipe, rendered exactly as for the encoder."""

    stored: StoredCrops
    recipe: Recipe
    view: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, index: Tensor) -> Tensor:
        return torch.from_numpy(np.stack([self._render(place) for place in index.tolist()]))

    def _render(self, place: int) -> NDArray[np.uint8]:
        file, row = self.stored.files[self.stored.file[place]], self.stored.rows[place]
        view = draw_view(self.recipe, int(self.view[place]), file.pixel_sha256[row].tobytes())
        height, width = file.native[row]
        framing = Framing.of(file.info.geometry)
        return render_crop(np.asarray(file.pixels[row]), (int(height), int(width)), view, framing=framing)


@dataclass(frozen=True)
class StoredViews:
    """`training.Views`: `features` (V, N, D) of a source's faces, the clean view first, one view after the other."""

    features: Tensor
    recipe: Recipe

    def draw(self, faces: Batch, generator: torch.Generator) -> Batch:
        """See `training.Views.draw`."""
        view = torch.randint(len(self.features) // len(faces), (len(faces),), generator=generator)
        rows = view * len(faces) + torch.arange(len(faces))
        stored = self.features
        features = stored.take(rows) if isinstance(stored, FeaturesOnDisk) else stored[rows.to(stored.device)]
        crops = faces.crops
        if isinstance(crops, StoredCrops):
            return replace(faces, features=features, crops=AugmentedCrops(crops, self.recipe, view.numpy()))
        return replace(faces, features=features)


def as_faces(faces: LabelledFaces, crops: CropFile | None, device: str) -> Faces:
    """Faces on the device, if they fit in memory; their crops are read on demand."""
    return Faces(features_of([faces.features], device), _stored_crops([(faces, crops)]))


def faces_of_split(table: FeatureTable, split: str, crops: CropFile | None, device: str) -> Faces:
    """All faces of a table's split ("" = all) on the device, if they fit in memory, labelled or not."""
    rows = table.columns.split == split if split else np.ones(len(table.columns.split), dtype=bool)
    features = features_of([take(table.columns.features[CLEAN], rows)], device)
    return Faces(features, None if crops is None else _crops_in(crops, table.columns.id[rows]))


def as_batch(parts: Sequence[tuple[LabelledFaces, CropFile | None]], expressions: int, device: str) -> Batch:
    """The faces of several datasets as one batch, in that order. Without soft labels, a label has all the weight."""
    every = [faces for faces, _ in parts]
    soft = [faces.distribution for faces in every]
    if any(each is not None for each in soft):
        hard = [np.eye(expressions, dtype=np.float32)[faces.truth] for faces in every]
        soft = [one_hot if each is None else each for each, one_hot in zip(soft, hard, strict=True)]
    shares = [each for each in soft if each is not None]
    return Batch(
        features_of([faces.features for faces in every], device),
        _stored_crops(parts),
        labels=torch.from_numpy(np.concatenate([faces.truth for faces in every])).to(device),
        distribution=torch.from_numpy(np.concatenate(shares)).to(device) if shares else None,
    )


def stored_views(parts: Sequence[tuple[FeatureTable, LabelledFaces]], device: str) -> StoredViews:
    """All views of the faces in each table; the tables have the same recipe and number of views."""
    first = parts[0][0]
    recipe = Recipe.model_validate(first.identity[RECIPE])
    views = [CLEAN, *view_names(recipe, len(first.columns.features) - 1)]
    rows = [take(table.columns.features[view], faces.row) for view in views for table, faces in parts]
    return StoredViews(features_of(rows, device), recipe)


def _stored_crops(parts: Sequence[tuple[LabelledFaces, CropFile | None]]) -> StoredCrops | None:
    crops = [_crops_in(crops, faces.id) for faces, crops in parts if crops is not None]
    if not crops:
        return None
    file = np.concatenate([np.full(len(each), number) for number, each in enumerate(crops)])
    return StoredCrops(tuple(each.files[0] for each in crops), file, np.concatenate([each.rows for each in crops]))


def _crops_in(crops: CropFile, ids: NDArray[np.object_]) -> StoredCrops:
    rows = rows_of(crops, ids)
    return StoredCrops((crops,), np.zeros_like(rows), rows)


def crops_of(cache: Path, table: TableInfo, side: int | None) -> CropFile:
    """The crops of a table's faces, of `side` pixels, or by default those requested last.

    Raises UsageError, with the command that creates them, if there are none.
    """
    stored = find_crops(cache, table)
    fitting = [info for info in stored if side in (None, info.side)]
    if not fitting:
        dataset = table.identity["dataset"]
        of_side = f" of {side} pixels" if side else ""
        sides = ", ".join(sorted({str(info.side) for info in stored}))
        known = f" It has crops of {sides} pixels." if stored else ""
        raise UsageError(
            f"This trunk reads pixels, but {dataset} has no stored crops{of_side}.{known} "
            f"Add them; no face is encoded again: {extract_command(table)} --crops {side or USUAL_SIDE}"
        )
    taken = fitting[0].side
    if others := sorted({info.side for info in fitting} - {taken}):
        say_once(
            f"{table.identity['dataset']} has crops of several sides: using those of {taken} pixels, which were "
            f"requested last, not those of {', '.join(map(str, others))}. Choose with --set crops=SIDE."
        )
    return read_crops(fitting[0].path)
