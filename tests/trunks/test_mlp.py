"""The two layers on the cached feature."""

import torch

from fercache.trunks import Faces
from fercache.trunks.mlp import MLP


def test_two_layers_with_a_relu_between() -> None:
    torch.manual_seed(0)
    trunk, features = MLP("mlp", 6, None, {}), torch.randn(3, 6)
    hidden = (features @ trunk.hidden.weight.T + trunk.hidden.bias).clamp(min=0)
    expected = hidden @ trunk.output.weight.T + trunk.output.bias
    torch.testing.assert_close(trunk(Faces(features)), expected)
    assert sum(parameter.numel() for parameter in trunk.parameters()) == 2 * (6 * 6 + 6)
