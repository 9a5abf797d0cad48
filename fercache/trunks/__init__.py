"""The trunk contract. Every other file in this folder is one trunk: a module that turns a face into M (B, D).

The `plugin` is a class built as `plugin(dimension)`; its `forward` takes the cached features (B, D).
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Trunk(nn.Module, ABC):
    """The trainable part below a head."""

    output: nn.Linear
    """The last layer; a residual head starts it at zero."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
