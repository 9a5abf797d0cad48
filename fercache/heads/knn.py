"""A vote of the nearest source faces."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercache.cells import by_cell, fit_cells, nearest_cells
from fercache.heads import Batch, FittedHead, HeadSettings, Task
from fercache.trunks import Faces

NEIGHBOURS = (50, 20, 10, 5, 3, 1)
"""The possible values of k, the smoothest vote first."""

NEARNESS = 1e-3
"""Weight of a cosine relative to a vote: just enough to break ties."""

LEAST_SHARE = 1e-6
"""Share of votes of an expression without any, so that its logarithm is finite."""

FACES_AT_ONCE = 256

MOST_FACES = 100_000
"""Faces that are stored, at most; of more, a sample, whose faces are compared cell by cell."""
CELL, PROBES = 256, 32
"""Stored faces of a cell, on average, and cells that are searched for a face."""
SEARCHED_AT_ONCE = 8192


def parts_of(features: Tensor, most: int) -> Sequence[Tensor]:
    """(B, D) in parts of up to `most` rows. Few rows are not split: an ONNX file would always have that many parts."""
    return features.split(most) if len(features) > most else (features,)


class Memory(nn.Module):
    """Faces to compare with: `keys` (N, D) of length 1, and `values` (N, L), the share of each expression.

    N is known only after filling; until then there is one face with zero key and value. Of a large source, faces are
    sorted by cell: there are also `centres` (K, D), and `starts` (K + 1,) of the cells.
    """

    keys: Tensor
    values: Tensor
    centres: Tensor
    starts: Tensor

    def __init__(self, dimension: int, expressions: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(1, dimension))
        self.register_buffer("values", torch.zeros(1, expressions))

    @property
    def in_cells(self) -> bool:
        """Whether the source was large."""
        return "centres" in self._buffers

    def fill(self, faces: Batch) -> None:
        """Stores `faces`, with their soft labels if there are any."""
        large, faces = len(faces) > MOST_FACES, faces.sample(MOST_FACES)
        self.keys.data = F.normalize(faces.features, dim=1)
        one_hot = F.one_hot(faces.labels, self.values.shape[1])
        shown = one_hot if faces.distribution is None else faces.distribution
        self.values.data = shown.to(self.keys, copy=True)
        if large:
            self._sort_by_cell()

    def _sort_by_cell(self) -> None:
        from fercache.heads.linear_probe import LIBRARIES  # loads scikit-learn, which small sources do not need

        with LIBRARIES.limit(limits=1):  # more threads would round differently
            centres = fit_cells(self.keys, max(1, len(self.keys) // CELL), seed=0)
        order, starts = by_cell(nearest_cells(self.keys, centres, 1)[:, 0], len(centres))
        self.keys.data, self.values.data = self.keys[order], self.values[order]
        self.register_buffer("centres", centres)
        self.register_buffer("starts", starts)

    def cosines(self, features: Tensor) -> Tensor:
        """(B, D) raw -> (B, N)."""
        return F.normalize(features, dim=1) @ self.keys.T

    def nearest(self, features: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Cosines and rows (B, k) of about the k stored faces that are nearest to `features` (B, D) raw, by cell.

        A cosine of -1 stands for no face: the cells around may hold fewer than k.
        """
        faces, probes = F.normalize(features, dim=1), min(PROBES, len(self.centres))
        visits, calls = by_cell(nearest_cells(faces, self.centres, probes).flatten(), len(self.centres))
        cosines = faces.new_full((len(faces) * probes, k), -1)
        rows = torch.zeros_like(cosines, dtype=torch.long)
        for cell, (begin, end) in enumerate(pairwise(self.starts.tolist())):
            visiting = visits[calls[cell] : calls[cell + 1]]
            found = (faces[visiting // probes] @ self.keys[begin:end].T).topk(min(k, end - begin), dim=1)
            cosines[visiting, : found.values.shape[1]] = found.values
            rows[visiting, : found.values.shape[1]] = found.indices + begin
        best = cosines.view(len(faces), -1).topk(k, dim=1)
        return best.values, rows.view(len(faces), -1).gather(1, best.indices)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Resizes to the stored number of faces."""
        for name in ("keys", "values"):
            tensor = getattr(self, name)
            tensor.data = tensor.new_zeros(state_dict[prefix + name].shape)
        for name in ("centres", "starts"):
            if prefix + name in state_dict:
                self.register_buffer(name, torch.zeros_like(state_dict[prefix + name]).to(self.keys.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)


class KNearestNeighbours(FittedHead):
    """Each of the k source faces with the highest cosine has one vote; every k is a candidate.

    Of a source of more than MOST_FACES faces, so many vote, and those are looked for in the cells around a face.

    A vote is distributed by the face's soft label, and multiplied by the class weights if there are any. All faces tied
    with the k-th one vote, so the order of copies does not matter; ties between expressions go to the nearer faces. The
    logits are the logarithms of the shares of votes: their softmax is the shares.
    """

    Settings = HeadSettings
    seeded = False

    k: Tensor

    def __init__(self, task: Task, settings: HeadSettings) -> None:
        super().__init__(task, settings)
        self.memory = Memory(task.dimension, len(task.expressions))
        self.register_buffer("k", torch.tensor(1))

    def logits(self, faces: Faces) -> Tensor:
        """(B, L)."""
        k = int(self.k)
        if self.memory.in_cells:
            shares = torch.cat([self._shares_by_cell(part, k) for part in parts_of(faces.features, SEARCHED_AT_ONCE)])
        else:
            parts = parts_of(faces.features, FACES_AT_ONCE)
            shares = torch.cat([self._shares(self.memory.cosines(part), k) for part in parts])
        return shares.clamp_min(LEAST_SHARE).log()

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        """Stores `train`, and yields each k up to its number of faces. `seed` is not used."""
        self.memory.fill(train)
        if train.class_weights is not None:
            self.memory.values *= train.class_weights
        for k in NEIGHBOURS:
            if k <= len(train):
                self.k.fill_(k)
                yield {"k": k}

    def _shares(self, cosines: Tensor, k: int) -> Tensor:
        """(B, N) -> (B, L) shares of the votes."""
        farthest = cosines.topk(k, dim=1).values[:, -1:]
        votes = (cosines >= farthest) * (1 + NEARNESS * cosines)
        return F.normalize(votes @ self.memory.values, p=1, dim=1)

    def _shares_by_cell(self, features: Tensor, k: int) -> Tensor:
        """(B, D) -> (B, L) shares of the votes."""
        cosines, rows = self.memory.nearest(features, k)
        votes = (cosines > -1) * (1 + NEARNESS * cosines)
        return F.normalize((votes[..., None] * self.memory.values[rows]).sum(dim=1), p=1, dim=1)


plugin = KNearestNeighbours
