"""The trunk contract. Every other file in this folder is one family of trunks: the trainable part below a head.

A family's `plugin` is a class with the classmethod `knows(name) -> bool` (is this `trunk` setting mine?), built as
`plugin(name, dimension, crop_side, options)`. Its `forward` turns faces into M (B, width).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercache.errors import UsageError


class Crops(Protocol):
    """(N, S, S, 3) uint8 pictures in memory or on disk; a Tensor is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor, /) -> Tensor:
        """The pictures (B, S, S, 3) that `index` (B,) points at."""


@dataclass(frozen=True)
class Faces:
    """`features` (B, D) raw, on one device, and where a trunk sees pixels, `crops` (B, S, S, 3) uint8."""

    features: Tensor
    crops: Crops | None = None

    def __len__(self) -> int:
        return len(self.features)

    def parts(self, size: int) -> Iterator[Self]:
        """The faces in order, up to `size` of them at a time."""
        return (self.rows(index) for index in torch.arange(len(self)).split(size))

    def rows(self, index: Tensor) -> Self:
        """The faces that `index` (B',) points at; their crops are a tensor on the features' device."""
        index = index.to(self.features.device)
        crops = None if self.crops is None else self.crops[index.cpu()].to(self.features.device)
        return replace(self, features=self.features[index], crops=crops)


class Trunk(nn.Module, ABC):
    """The trainable part below a head; `width` is the number of its output channels."""

    needs_crops: ClassVar[bool]
    width: int

    @classmethod
    @abstractmethod
    def knows(cls, name: str) -> bool:
        """Whether a `trunk` setting is this family's."""

    def __init__(self, name: str, dimension: int, crop_side: int | None, options: Mapping[str, Any]) -> None:
        """`dimension` D of the features and side S of the crops. Raises UsageError for options that do not fit."""
        super().__init__()

    @abstractmethod
    def forward(self, faces: Faces) -> Tensor:
        """(B, width)."""

    def load_weights(self, weights: str) -> list[str]:
        """Takes the weights of a file, or `pretrained`; returns the file's keys that are of no use.

        Raises UsageError when they do not fit, and for a trunk that no weights exist of.
        """
        raise UsageError(
            "This trunk starts with random weights: --trunk-weights is for timm backbones (trunk=resnet18)."
        )

    def zero_output(self) -> None:
        """Makes the output zero for every face, where a residual head starts. Only for trunks without crops."""
        raise NotImplementedError


class SlidingMean(nn.Module):
    """(B, W) -> (B, D), the means of D windows that slide evenly over W > D channels (CAFE: ResNet-50, MobileNet)."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension

    def forward(self, activation: Tensor) -> Tensor:
        """(B, W) -> (B, D)."""
        return F.adaptive_avg_pool1d(activation[:, None], self.dimension)[:, 0]


def to_dimension(width: int, dimension: int) -> nn.Module:
    """What brings a trunk's output to the features' D: nothing, a sliding mean, or where it is narrower a layer."""
    if width == dimension:
        return nn.Identity()
    return SlidingMean(dimension) if width > dimension else nn.Linear(width, dimension)
