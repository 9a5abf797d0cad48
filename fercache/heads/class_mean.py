"""The nearest class mean: a baseline for trained heads."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from fercache.heads import Batch, FittedHead, HeadSettings, Task
from fercache.trunks import Faces

SCALE = 20.0
"""Turns cosines into logits. It affects confidences only, not predictions."""


class ClassMean(FittedHead):
    """Scaled cosine of a face with the mean direction of each expression's source faces; there are no candidates.

    A face is weighted by its soft label. An expression that the source lacks is never predicted.
    """

    Settings = HeadSettings
    seeded = False

    means: Tensor

    def __init__(self, task: Task, settings: HeadSettings) -> None:
        super().__init__(task, settings)
        self.register_buffer("means", torch.zeros(len(task.expressions), task.dimension))

    def logits(self, faces: Faces) -> Tensor:
        """(B, L)."""
        cosines = F.normalize(faces.features, dim=1) @ F.normalize(self.means, dim=1).T
        return SCALE * cosines.masked_fill(self.means.eq(0).all(dim=1), -1)

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        """Computes the means. Nothing is random: `seed` is not used."""
        sums, mass = torch.zeros_like(self.means), self.means.new_zeros(len(self.means))
        for block in train.blocks():
            shown = F.one_hot(block.labels, len(self.means)) if block.distribution is None else block.distribution
            weights = shown.to(block.features)
            sums += weights.T @ F.normalize(block.features, dim=1)
            mass += weights.sum(0)
        self.means.copy_(sums / mass[:, None].clamp_min(1e-12))
        yield {}


plugin = ClassMean
