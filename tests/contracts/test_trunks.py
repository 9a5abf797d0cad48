"""Every registered trunk keeps the contract, and trunks that do not are caught."""

import pytest
import torch
from torch import Tensor

from fercache import registry
from fercache.trunks import Trunk
from fercache.trunks.mlp import MLP
from tests.contracts.trunk_checks import broken_promises


@pytest.mark.parametrize("name", registry.names("trunks"))
def test_every_trunk_keeps_the_contract(name: str) -> None:
    assert broken_promises(registry.load("trunks", name)) == []


class Transposed(MLP):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features).T


class Centred(MLP):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features - features.mean(0))


class Frozen(MLP):
    def forward(self, features: Tensor) -> Tensor:
        return self.output(torch.relu(self.hidden(features)).detach())


class Residual(MLP):
    def forward(self, features: Tensor) -> Tensor:
        return features + super().forward(features)


class Noisy(MLP):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features * (1 + 1e-6 * torch.rand(())))


class Unregistered(MLP):
    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self.scale = torch.rand(dimension)

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features * self.scale)


@pytest.mark.parametrize(
    ("plugin", "promise"),
    [
        (Transposed, "turns 5 faces into (48, 5)"),
        (Centred, "turns a face into something else when other faces are there"),
        (Frozen, "has a parameter hidden.weight that no gradient reaches"),
        (Residual, "is not zero when its last layer is"),
        (Noisy, "draws from the global generator"),
        (Unregistered, "gives something else after its state was stored and loaded"),
    ],
)
def test_a_bad_trunk_is_caught(plugin: type[Trunk], promise: str) -> None:
    assert promise in broken_promises(plugin)
