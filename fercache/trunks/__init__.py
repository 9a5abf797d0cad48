"""The trunk contract. Every other file in this folder is one family of trunks: the trainable part below a head.

A family's `plugin` is a class with the classmethod `knows(name) -> bool` (is this `trunk` setting mine?), built as
`plugin(name, dimension, crop_side, options)`. Its `forward` maps faces to M (B, width).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercache.errors import UsageError

BLOCK = 65_536
"""Faces in memory at a time, if features are on disk."""


class Crops(Protocol):
    """(N, S, S, 3) uint8 images in memory or on disk, such as a Tensor."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor, /) -> Tensor:
        """The images (B, S, S, 3) at `index` (B,)."""


@dataclass(frozen=True)
class Faces:
    """`features` (B, D) raw, on one device, and `crops` (B, S, S, 3) uint8 if a trunk sees pixels.

    Of a whole source or target, features may be on disk: a stand-in for the tensor, which reads rows when it is
    indexed. `blocks`, `parts` and `rows` give faces in memory.
    """

    features: Tensor
    crops: Crops | None = None

    def __len__(self) -> int:
        return len(self.features)

    @property
    def in_memory(self) -> bool:
        """Whether the features are a tensor."""
        return isinstance(self.features, Tensor)

    def blocks(self) -> Iterator[Self]:
        """The faces in order, all at once if they are in memory, else BLOCK at a time."""
        return iter([self]) if self.in_memory else self.parts(BLOCK)

    def parts(self, size: int) -> Iterator[Self]:
        """The faces in order, up to `size` at a time."""
        return (self.rows(index) for index in torch.arange(len(self)).split(size))

    def sample(self, most: int) -> Self:
        """The faces in memory: all of them, or `most`, in order; always the same ones of as many faces."""
        if self.in_memory and len(self) <= most:
            return self
        drawn = torch.randperm(len(self), generator=torch.Generator().manual_seed(0))[:most]
        return self.rows(drawn.sort().values)

    def rows(self, index: Tensor) -> Self:
        """The faces at `index` (B',); their crops are a tensor on the features' device."""
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
        """Whether a `trunk` setting belongs to this family."""

    def __init__(self, name: str, dimension: int, crop_side: int | None, options: Mapping[str, Any]) -> None:
        """`dimension` D of the features and side S of the crops. Raises UsageError for unsuitable options."""
        super().__init__()

    @abstractmethod
    def forward(self, faces: Faces) -> Tensor:
        """(B, width)."""

    def load_weights(self, weights: str) -> list[str]:
        """Loads the weights of a file, or `pretrained` ones; returns the unused keys of the file.

        Raises UsageError if they do not fit, and for a trunk without weights.
        """
        raise UsageError("This trunk has random weights: --trunk-weights is for timm backbones (trunk=resnet18).")

    def zero_output(self) -> None:
        """Makes the output zero for every face, to initialise a residual head. Only for trunks without crops."""
        raise NotImplementedError


class SlidingMean(nn.Module):
    """(B, W) -> (B, D), the means of D evenly spaced windows over W > D channels (CAFE: ResNet-50, MobileNet)."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension

    def forward(self, activation: Tensor) -> Tensor:
        """(B, W) -> (B, D)."""
        return F.adaptive_avg_pool1d(activation[:, None], self.dimension)[:, 0]


def to_dimension(width: int, dimension: int) -> nn.Module:
    """Maps a trunk's output to the features' D: identity, a sliding mean, or a layer if the output is narrower."""
    if width == dimension:
        return nn.Identity()
    return SlidingMean(dimension) if width > dimension else nn.Linear(width, dimension)
