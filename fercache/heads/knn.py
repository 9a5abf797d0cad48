"""A vote of the nearest source faces."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercache.heads import Batch, FittedHead, HeadSettings, Task
from fercache.trunks import Faces

NEIGHBOURS = (50, 20, 10, 5, 3, 1)
"""The possible values of k, the smoothest vote first."""

NEARNESS = 1e-3
"""Weight of a cosine relative to a vote: just enough to break ties."""

LEAST_SHARE = 1e-6
"""Share of votes of an expression without any, so that its logarithm is finite."""

FACES_AT_ONCE = 256


class Memory(nn.Module):
    """Faces to compare with: `keys` (N, D) of length 1, and `values` (N, L), the share of each expression.

    N is known only after filling; until then there is one face with zero key and value.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, dimension: int, expressions: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(1, dimension))
        self.register_buffer("values", torch.zeros(1, expressions))

    def fill(self, faces: Batch) -> None:
        """Stores `faces`, with their soft labels if there are any."""
        self.keys.data = F.normalize(faces.features, dim=1)
        one_hot = F.one_hot(faces.labels, self.values.shape[1])
        shown = one_hot if faces.distribution is None else faces.distribution
        self.values.data = shown.to(self.keys, copy=True)

    def cosines(self, features: Tensor) -> Tensor:
        """(B, D) raw -> (B, N)."""
        return F.normalize(features, dim=1) @ self.keys.T

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Resizes to the stored number of faces."""
        for name in ("keys", "values"):
            tensor = getattr(self, name)
            tensor.data = tensor.new_zeros(state_dict[prefix + name].shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class KNearestNeighbours(FittedHead):
    """Each of the k source faces with the highest cosine has one vote; every k is a candidate.

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
        parts = faces.features.split(FACES_AT_ONCE)
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


plugin = KNearestNeighbours
