"""Gaussian discriminant analysis for unseen domains: fixed choices instead of those that source validation makes."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from fercache.heads import Batch, FittedHead, HeadSettings, Task
from fercache.heads.gda import ABSENT, Axes, Floats, Moments, unit
from fercache.heads.linear_probe import LIBRARIES
from fercache.trunks import Faces

FINE, COARSE = 0.1, 0.98
"""Shrinkage of the two discriminants. The coarse one is close to the nearest class mean."""

COARSE_SHARE = 1 / 3
"""The coarse discriminant's share of the mean."""

SCALE = 4.0
"""Turns discriminants of deviation 1 into logits. It affects confidences only, not predictions."""


class ShiftGdaSettings(HeadSettings):
    """`shift`: weight of the covariance of the changes that corruption makes, relative to that within expressions.

    `strength`: expressions on an unseen domain are so many times as strong as on the source.
    """

    shift: float = Field(1.0, ge=0)
    strength: float = Field(0.6, ge=0, le=1)


class ShiftGda(FittedHead):
    """The weighted mean of two `gda`, each divided by the deviation of its logits on the source; no candidates.

    Both have `strength` r < 1: an expression is weaker on an unseen domain, so a face must not be as far from the mean
    of all to count as expressive. The fine one (shrinkage FINE) has the covariance S + shift N, where N is the mean
    outer product of the changes of a face's direction when its image is corrupted (source validation, without labels):
    a direction in which faces change between domains counts less. The coarse one (COARSE) has the covariance S. The
    choices are not made on the source, whose validation prefers the least regular.
    """

    Settings = ShiftGdaSettings
    seeded = False
    learns_shift = True

    weight: Tensor
    bias: Tensor

    def __init__(self, task: Task, settings: ShiftGdaSettings) -> None:
        super().__init__(task, settings)
        self.settings = settings
        self.changes: Floats = np.zeros((task.dimension, task.dimension))
        self.register_buffer("weight", torch.zeros(len(task.expressions), task.dimension))
        self.register_buffer("bias", torch.zeros(len(task.expressions)))

    def logits(self, faces: Faces) -> Tensor:
        """(B, L)."""
        return F.normalize(faces.features, dim=1) @ self.weight.T + self.bias

    def learn_shift(self, clean: Tensor, corrupted: Tensor) -> None:
        """Computes N. Without it, N is zero."""
        changes = unit(corrupted) - unit(clean)
        with LIBRARIES.limit(limits=1, user_api="blas"):  # more threads would round differently
            self.changes = changes.T @ changes / len(changes)

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        """Fits both discriminants. Nothing is random: `seed` is not used."""
        moments = Moments.of(train, len(self.bias))
        fine = self._scaled(moments, moments.within + self.settings.shift * self.changes, FINE)
        coarse = self._scaled(moments, moments.within, COARSE)
        weight, bias = ((1 - COARSE_SHARE) * one + COARSE_SHARE * two for one, two in zip(fine, coarse, strict=True))
        self.weight.copy_(torch.from_numpy(SCALE * weight))
        self.bias.copy_(torch.from_numpy(np.where(moments.present, SCALE * bias, ABSENT)))
        yield {}

    def _scaled(self, moments: Moments, covariance: Floats, shrinkage: float) -> tuple[Floats, Floats]:
        """A discriminant's weights and biases, for logits whose deviation on the source is 1."""
        weight, bias = moments.discriminant(Axes.of(covariance), shrinkage, self.settings.strength)
        deviation = moments.deviation(weight, bias)
        return weight / deviation, bias / deviation


plugin = ShiftGda
