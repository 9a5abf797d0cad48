"""Rows of feature tables and crop files as batches for training and scoring: features, crops, augmented views."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fercache.errors import UsageError
from fercache.heads import Batch
from fercache.images.views import Framing, Recipe, draw_view, render_crop, view_names
from fercache.loading.labelled_faces import LabelledFaces
from fercache.loading.tables import extract_command
from fercache.runtime.progress import say_once
from fercache.store.crops import CropFile, find_crops, read_crops, rows_of
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
    """`training.Views`: `features` (V, N, D) of a source's faces, the clean view first."""

    features: Tensor
    recipe: Recipe

    def draw(self, faces: Batch, generator: torch.Generator) -> Batch:
        """See `training.Views.draw`."""
        view = torch.randint(len(self.features), (len(faces),), generator=generator)
        features = self.features[view.to(self.features.device), torch.arange(len(faces), device=self.features.device)]
        crops = faces.crops
        if isinstance(crops, StoredCrops):
            return replace(faces, features=features, crops=AugmentedCrops(crops, self.recipe, view.numpy()))
        return replace(faces, features=features)


def as_faces(faces: LabelledFaces, crops: CropFile | None, device: str) -> Faces:
    """Faces on the device; their crops are read on demand."""
    return _faces(faces.features, faces.id, crops, device=device)


def faces_of_split(table: FeatureTable, split: str, crops: CropFile | None, device: str) -> Faces:
    """All faces of a table's split ("" = all) on the device, labelled or not."""
    rows = table.columns.split == split if split else np.ones(len(table.columns.split), dtype=bool)
    return _faces(table.columns.features[CLEAN][rows], table.columns.id[rows], crops, device=device)


def as_batch(faces: LabelledFaces, crops: CropFile | None, device: str) -> Batch:
    """The same with labels."""
    plain = as_faces(faces, crops, device)
    soft = None if faces.distribution is None else torch.from_numpy(faces.distribution).to(device)
    labels = torch.from_numpy(faces.truth).to(device)
    return Batch(plain.features, plain.crops, labels=labels, distribution=soft)


def stored_views(table: FeatureTable, faces: LabelledFaces, device: str) -> StoredViews:
    """All views of the faces in the table, of the table's recipe."""
    recipe = Recipe.model_validate(table.identity[RECIPE])
    views = [CLEAN, *view_names(recipe, len(table.columns.features) - 1)]
    return StoredViews(torch.stack([_on(device, table.columns.features[view][faces.row]) for view in views]), recipe)


def pooled(batches: Sequence[Batch], expressions: int) -> Batch:
    """The faces of several datasets as one batch, in that order. Without soft labels, a label has all the weight."""
    if len(batches) == 1:
        return batches[0]
    soft = [batch.distribution for batch in batches]
    if any(each is not None for each in soft):
        hard = [F.one_hot(batch.labels, expressions).float() for batch in batches]
        soft = [one_hot if each is None else each for each, one_hot in zip(soft, hard, strict=True)]
    return Batch(
        torch.cat([batch.features for batch in batches]),
        _pooled_crops([batch.crops for batch in batches if isinstance(batch.crops, StoredCrops)]),
        labels=torch.cat([batch.labels for batch in batches]),
        distribution=torch.cat([each for each in soft if each is not None]) if soft[0] is not None else None,
    )


def _pooled_crops(crops: Sequence[StoredCrops]) -> StoredCrops | None:
    if not crops:
        return None
    starts = np.cumsum([0, *(len(each.files) for each in crops)])
    file = np.concatenate([each.file + start for each, start in zip(crops, starts, strict=False)])
    files = tuple(file for each in crops for file in each.files)
    return StoredCrops(files, file, np.concatenate([each.rows for each in crops]))


def pooled_views(views: Sequence[StoredViews]) -> StoredViews:
    """The views of several datasets, in that order, with the same recipe and number of views."""
    return StoredViews(torch.cat([each.features for each in views], dim=1), views[0].recipe)


def _on(device: str, features: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(features.astype(np.float32)).to(device)


def _faces(features: NDArray[np.floating], ids: NDArray[np.object_], crops: CropFile | None, *, device: str) -> Faces:
    on_device = _on(device, features)
    if crops is None:
        return Faces(on_device)
    rows = rows_of(crops, ids)
    return Faces(on_device, StoredCrops((crops,), np.zeros_like(rows), rows))


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
