"""Two layers on the cached feature."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fercache.errors import UsageError
from fercache.trunks import Faces, Trunk


class MLP(Trunk):
    """D -> D -> D with a ReLU between. It sees no pixels."""

    needs_crops = False

    @classmethod
    def knows(cls, name: str) -> bool:
        """Whether `name` is `mlp`."""
        return name == "mlp"

    def __init__(self, name: str, dimension: int, crop_side: int | None, options: Mapping[str, Any]) -> None:
        super().__init__(name, dimension, crop_side, options)
        if options:
            raise UsageError(f"The trunk mlp has no options; found trunk_options {', '.join(options)}.")
        self.width = dimension
        self.hidden = nn.Linear(dimension, dimension)
        self.output = nn.Linear(dimension, dimension)

    def forward(self, faces: Faces) -> Tensor:
        """(B, D)."""
        activation: Tensor = self.output(torch.relu(self.hidden(faces.features)))
        return activation

    def zero_output(self) -> None:
        """See `Trunk.zero_output`."""
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)


plugin = MLP
