"""Every registered trunk keeps the contract, and trunks that do not are caught."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fercache import registry
from fercache.contracts import check_trunk
from fercache.trunks import Faces, Trunk
from fercache.trunks.mlp import MLP
from fercache.trunks.timm import TimmTrunk

SMALL = {"mlp": "mlp", "timm": "resnet10t"}
"""A small trunk of each family. A new family needs an entry here."""


@pytest.mark.parametrize("family", registry.names("trunks"))
def test_every_trunk_keeps_the_contract(family: str) -> None:
    plugin = registry.load("trunks", family)
    assert registry.trunk_family(SMALL[family]) is plugin
    assert check_trunk(plugin, SMALL[family]) == []


class Transposed(MLP):
    def forward(self, faces: Faces) -> Tensor:
        return super().forward(faces).T


class Centred(MLP):
    def forward(self, faces: Faces) -> Tensor:
        return super().forward(Faces(faces.features - faces.features.mean(0)))


class Frozen(MLP):
    def forward(self, faces: Faces) -> Tensor:
        return self.output(torch.relu(self.hidden(faces.features)).detach())


class Residual(MLP):
    def forward(self, faces: Faces) -> Tensor:
        return faces.features + super().forward(faces)


class Noisy(MLP):
    def forward(self, faces: Faces) -> Tensor:
        return super().forward(Faces(faces.features * (1 + 1e-6 * torch.rand(()))))


class Unregistered(MLP):
    def __init__(self, name: str, dimension: int, crop_side: int | None, options: Mapping[str, Any]) -> None:
        super().__init__(name, dimension, crop_side, options)
        self.scale = torch.rand(dimension)

    def forward(self, faces: Faces) -> Tensor:
        return super().forward(Faces(faces.features * self.scale))


class Lenient(MLP):
    def __init__(self, name: str, dimension: int, crop_side: int | None, options: Mapping[str, Any]) -> None:
        super().__init__(name, dimension, crop_side, {})


class KnowsAll(MLP):
    @classmethod
    def knows(cls, name: str) -> bool:
        return True


class Peeks(MLP):
    def forward(self, faces: Faces) -> Tensor:
        assert isinstance(faces.crops, Tensor)
        return super().forward(faces) + faces.crops.float().mean((1, 2, 3))[:, None]


class BlackCrops(TimmTrunk):
    def forward(self, faces: Faces) -> Tensor:
        assert isinstance(faces.crops, Tensor)
        return super().forward(replace(faces, crops=torch.zeros_like(faces.crops)))


class AlwaysTraining(TimmTrunk):
    def forward(self, faces: Faces) -> Tensor:
        self.backbone.train(len(faces) > 1)
        return super().forward(faces)


class NeverTraining(TimmTrunk):
    def forward(self, faces: Faces) -> Tensor:
        self.backbone.eval()
        return super().forward(faces)


class CentredInTraining(MLP):
    def forward(self, faces: Faces) -> Tensor:
        return super().forward(Faces(faces.features - faces.features.mean(0)) if self.training else faces)


@pytest.mark.parametrize(
    ("plugin", "promise"),
    [
        (Transposed, "turns 5 faces into (48, 5) of width 48"),
        (Centred, "returns values that depend on the other faces"),
        (CentredInTraining, "uses other faces in training"),
        (Frozen, "has a parameter hidden.weight without a gradient"),
        (Residual, "does not return zeros after zero_output"),
        (Noisy, "uses the global random generator"),
        (Unregistered, "returns other values after its state is stored and loaded"),
        (Lenient, "accepts unknown options"),
        (KnowsAll, "knows every name"),
        (Peeks, "reads pixels without needs_crops"),
        (BlackCrops, "ignores pixels, but has needs_crops"),
        (AlwaysTraining, "returns values that depend on the other faces"),
        (NeverTraining, "does not normalise by the batch in training"),
    ],
)
def test_a_bad_trunk_is_caught(plugin: type[Trunk], promise: str) -> None:
    assert promise in check_trunk(plugin, SMALL["mlp" if issubclass(plugin, MLP) else "timm"])
