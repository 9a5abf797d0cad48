"""The contract of trunks, checked on small random faces."""

from collections.abc import Callable, Iterator

import torch

from fercache.contracts.feature_space import DIMENSION, faces
from fercache.errors import UsageError
from fercache.trunks import Faces, Trunk

SIDE = 32


def seen(count: int, seed: int = 1) -> Faces:
    """Faces with features and random crops; a trunk reads either."""
    crops = torch.randint(256, (count, SIDE, SIDE, 3), generator=torch.Generator().manual_seed(seed))
    return Faces(faces(count, seed).features, crops.to(torch.uint8))


class TrunkUnderTest:
    """The family under test, built for each check."""

    def __init__(self, plugin: type[Trunk], name: str) -> None:
        self.plugin = plugin
        self.name = name

    def build(self) -> Trunk:
        return self.plugin(self.name, DIMENSION, SIDE, {})


def check_trunk(plugin: type[Trunk], name: str) -> list[str]:
    """One sentence per broken promise of the family; [] if it keeps all of them. `name` is a small trunk of it."""
    torch.manual_seed(0)
    subject = TrunkUnderTest(plugin, name)
    if about_output := list(_about_output(subject)):
        return about_output
    checks: tuple[Callable[[TrunkUnderTest], Iterator[str]], ...] = (
        _about_names,
        _about_what_it_sees,
        _about_zero,
        _about_other_faces,
        _about_batches_in_training,
        _about_gradients,
        _about_storing,
        _about_global_state,
    )
    return [broken for check in checks for broken in check(subject)]


@torch.no_grad()
def _about_output(subject: TrunkUnderTest) -> Iterator[str]:
    trunk = subject.build().eval()
    for count in (1, 5):
        output = trunk(seen(count))
        if output.shape != (count, trunk.width):
            yield f"turns {count} faces into {tuple(output.shape)} of width {trunk.width}"
        elif not torch.isfinite(output).all():
            yield "returns values that are not finite"


def _about_names(subject: TrunkUnderTest) -> Iterator[str]:
    if not subject.plugin.knows(subject.name):
        yield f"does not know {subject.name}"
    if subject.plugin.knows("no-such-trunk"):
        yield "knows every name"
    try:
        subject.plugin(subject.name, DIMENSION, SIDE, {"no_such_option": 1})
        yield "accepts unknown options"
    except UsageError:
        pass


@torch.no_grad()
def _about_what_it_sees(subject: TrunkUnderTest) -> Iterator[str]:
    trunk, both = subject.build().eval(), seen(5)
    other_pixels = Faces(both.features, seen(5, seed=2).crops)
    if torch.equal(trunk(both), trunk(other_pixels)) == trunk.needs_crops:
        yield "ignores pixels, but has needs_crops" if trunk.needs_crops else "reads pixels without needs_crops"


@torch.no_grad()
def _about_zero(subject: TrunkUnderTest) -> Iterator[str]:
    trunk = subject.build()
    if trunk.needs_crops:
        return
    trunk.zero_output()
    if trunk(seen(5)).abs().max() > 0:
        yield "does not return zeros after zero_output"


@torch.no_grad()
def _about_other_faces(subject: TrunkUnderTest) -> Iterator[str]:
    trunk, together = subject.build().eval(), seen(9)
    alone = torch.cat([trunk(part) for part in together.parts(1)])
    if not torch.allclose(trunk(together), alone, rtol=1e-3, atol=1e-3):
        yield "returns values that depend on the other faces"


@torch.no_grad()
def _about_batches_in_training(subject: TrunkUnderTest) -> Iterator[str]:
    """Only batch normalisation may use other faces of a batch, and only in training."""
    trunk, together = subject.build().train(), seen(9)
    normalises = any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in trunk.modules())
    first = Faces(together.features[:4], together.crops[torch.arange(4)] if together.crops is not None else None)
    differs = not torch.allclose(trunk(together)[:4], trunk(first), rtol=1e-3, atol=1e-3)
    if differs != normalises:
        yield "does not normalise by the batch in training" if normalises else "uses other faces in training"


def _about_gradients(subject: TrunkUnderTest) -> Iterator[str]:
    trunk = subject.build()
    with torch.no_grad():
        for parameter in trunk.parameters():  # blocks of residual networks may start at zero, which stops gradients
            parameter.add_(0.1 * torch.randn_like(parameter))
    trunk(seen(9)).square().sum().backward()
    for name, parameter in trunk.named_parameters():
        if parameter.grad is None or not parameter.grad.abs().max() > 0:
            yield f"has a parameter {name} without a gradient"


@torch.no_grad()
def _about_storing(subject: TrunkUnderTest) -> Iterator[str]:
    one, two = subject.build().eval(), subject.build().eval()
    two.load_state_dict(one.state_dict())
    if not torch.equal(one(seen(5)), two(seen(5))):
        yield "returns other values after its state is stored and loaded"


@torch.no_grad()
def _about_global_state(subject: TrunkUnderTest) -> Iterator[str]:
    trunk = subject.build()
    before = torch.get_rng_state()
    trunk(seen(5))
    if not torch.equal(torch.get_rng_state(), before):
        yield "uses the global random generator"
