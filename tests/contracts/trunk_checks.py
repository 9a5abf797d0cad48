"""What every trunk promises."""

from collections.abc import Iterator

import torch
from torch import nn

from fercache.trunks import Trunk
from tests.feature_space import DIMENSION, faces


def broken_promises(plugin: type[Trunk]) -> list[str]:
    """One sentence for each promise of the contract that the trunk does not keep."""
    torch.manual_seed(0)
    if about_output := list(_about_output(plugin)):
        return about_output
    checks = (_about_other_faces, _about_gradients, _about_storing, _about_global_state)
    return [broken for check in checks for broken in check(plugin)]


def _about_output(plugin: type[Trunk]) -> Iterator[str]:
    trunk = plugin(DIMENSION)
    for count in (1, 5):
        shape = trunk(faces(count, seed=1).features).shape
        if shape != (count, DIMENSION):
            yield f"turns {count} faces into {tuple(shape)}"
    if not isinstance(getattr(trunk, "output", None), nn.Linear):
        yield "has no linear layer `output`"
        return
    nn.init.zeros_(trunk.output.weight)
    nn.init.zeros_(trunk.output.bias)
    if trunk(faces(5, seed=1).features).abs().max() > 0:
        yield "is not zero when its last layer is"


def _about_other_faces(plugin: type[Trunk]) -> Iterator[str]:
    trunk, features = plugin(DIMENSION).eval(), faces(9, seed=1).features
    alone = torch.cat([trunk(row) for row in features.split(1)])
    if not torch.allclose(trunk(features), alone, rtol=1e-3, atol=1e-4):
        yield "turns a face into something else when other faces are there"


def _about_gradients(plugin: type[Trunk]) -> Iterator[str]:
    trunk = plugin(DIMENSION)
    trunk(faces(9, seed=1).features).square().sum().backward()
    for name, parameter in trunk.named_parameters():
        if parameter.grad is None or not parameter.grad.abs().max() > 0:
            yield f"has a parameter {name} that no gradient reaches"


def _about_storing(plugin: type[Trunk]) -> Iterator[str]:
    one, two, features = plugin(DIMENSION).eval(), plugin(DIMENSION).eval(), faces(5, seed=1).features
    two.load_state_dict(one.state_dict())
    if not torch.equal(one(features), two(features)):
        yield "gives something else after its state was stored and loaded"


def _about_global_state(plugin: type[Trunk]) -> Iterator[str]:
    trunk = plugin(DIMENSION)
    before = torch.get_rng_state()
    trunk(faces(5, seed=1).features)
    if not torch.equal(torch.get_rng_state(), before):
        yield "draws from the global generator"
