"""Two layers on the cached feature."""

import torch
from torch import Tensor, nn

from fercache.trunks import Trunk


class MLP(Trunk):
    """D -> D -> D with a ReLU between."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(dimension, dimension)
        self.output = nn.Linear(dimension, dimension)

    def forward(self, features: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        activation: Tensor = self.output(torch.relu(self.hidden(features)))
        return activation


plugin = MLP
