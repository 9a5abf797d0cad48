"""The adaptation contract. Every other file in this folder is one adaptation to a target without labels.

An adaptation looks at the target's features and at what a trained head answers; it trains nothing. It knows neither
files nor labels of the target.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fercache.trunks import Faces

Scores = Callable[[Faces], Tensor]
"""Faces -> (N, L) logits of a trained head."""


@dataclass(frozen=True)
class SourceFeatures:
    """What an adaptation may know of the source: `means` (L, D) of the raw features of each expression, and its
    number of `faces` (L,).

    The mean of an expression without faces is 0.
    """

    means: Tensor
    faces: Tensor

    def to(self, device: str) -> "SourceFeatures":
        """The same on another device."""
        return SourceFeatures(self.means.to(device), self.faces.to(device))

    @property
    def mean(self) -> Tensor:
        """(D,) the mean of all faces."""
        return self.share @ self.means

    @property
    def share(self) -> Tensor:
        """(L,) the share of each expression."""
        return self.faces / self.faces.sum()


@dataclass(frozen=True)
class Adapted:
    """An affine change of a head: its logits at features minus `shift` (D,), plus `offset` (L,)."""

    shift: Tensor
    offset: Tensor

    @classmethod
    def of(cls, source: SourceFeatures, shift: Tensor | None = None, offset: Tensor | None = None) -> "Adapted":
        """Without a `shift` or `offset`, it is 0."""
        expressions, dimension = source.means.shape
        return cls(
            source.means.new_zeros(dimension) if shift is None else shift,
            source.means.new_zeros(expressions) if offset is None else offset,
        )

    def faces(self, faces: Faces) -> Faces:
        """The faces with shifted features; crops are as before."""
        return replace(faces, features=faces.features - self.shift)

    def logits(self, scores: Scores, faces: Faces) -> Tensor:
        """(N, L) adapted logits."""
        return scores(self.faces(faces)) + self.offset


class Adaptation(ABC):
    """Estimates an `Adapted` from a target's faces, without their labels."""

    @abstractmethod
    def adapt(self, faces: Faces, scores: Scores, source: SourceFeatures) -> Adapted:
        """From N >= 1 target faces, the head's `scores`, and the `source`. Nothing is random."""


def posteriors(scores: Scores, faces: Faces) -> Tensor:
    """(N, L) the softmax of a head's logits."""
    return torch.softmax(scores(faces).float(), dim=1)
