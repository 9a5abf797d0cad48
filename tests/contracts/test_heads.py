"""Every registered head keeps the contract, and heads that do not are caught."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from fercache import registry
from fercache.contracts import check_head
from fercache.contracts.feature_space import DIMENSION
from fercache.heads import Batch, FittedHead, Head, HeadSettings, Task
from fercache.heads.class_mean import ClassMean
from fercache.heads.linear_probe import LinearProbe, LinearProbeSettings
from fercache.heads.sigmoid_mask import SigmoidMask, SigmoidMaskSettings
from fercache.heads.zero_shot import ZeroShot
from fercache.trunks import Faces
from tests.contracts import reading_heads


@pytest.mark.parametrize("name", registry.names("heads"))
def test_every_head_keeps_the_contract(name: str) -> None:
    assert check_head(registry.load("heads", name)) == []


class ShortSettings(SigmoidMaskSettings):
    epochs: int = 3


class ShortMask(SigmoidMask):
    Settings = ShortSettings


class NextClass(ZeroShot):
    """Permutes the classes."""

    def logits(self, faces: Faces) -> Tensor:
        return super().logits(faces).roll(1, dims=1)


class PapersOrder(LinearProbe):
    """Believes that the expressions always come in the same order."""

    def logits(self, faces: Faces) -> Tensor:
        order = sorted(range(len(self.task.expressions)), key=self.task.expressions.__getitem__)
        return super().logits(faces)[:, order].roll(3, dims=1)


class CentredOnTheTarget(LinearProbe):
    """Reads the faces to be scored all together."""

    def logits(self, faces: Faces) -> Tensor:
        return super().logits(Faces(faces.features - faces.features.mean(0)))


class AdaptsToTheTarget(ZeroShot):
    """Learns from the faces to be scored."""

    def logits(self, faces: Faces) -> Tensor:
        self.text.add_(0.01 * faces.features.mean(0))
        return super().logits(faces)


class KeptOutsideTheState(FittedHead):
    """Its class means are no buffer."""

    Settings = HeadSettings

    def __init__(self, task: Task, settings: HeadSettings) -> None:
        super().__init__(task, settings)
        self.means = [torch.zeros(DIMENSION)] * len(task.expressions)
        self.register_buffer("nothing", torch.zeros(1))

    def logits(self, faces: Faces) -> Tensor:
        return faces.features @ torch.stack(self.means).T

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        self.means = [train.features[train.labels == k].mean(0) for k in range(len(self.task.expressions))]
        yield {}


class NeedsAllInMemory(ClassMean):
    """Does not read features block by block."""

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        shown = torch.nn.functional.one_hot(train.labels, len(self.means)).float()
        self.means.copy_(shown.T @ train.features)
        yield {}


class GlobalNoise(ShortMask):
    """Draws from the global generator."""

    def loss(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: term * (1 + 0.01 * torch.rand(())) for name, term in super().loss(batch, generator).items()}


class GlobalSeed(ShortMask):
    """Follows the global seed without drawing from it."""

    def loss(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        return super().loss(batch, torch.Generator().manual_seed(torch.initial_seed()))


class NormalisesInPlace(LinearProbe):
    """Changes what it is given."""

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        train.features.div_(train.features.norm(dim=1, keepdim=True))
        yield from super().candidates(train, seed)


class MeanOfNothing(ShortMask):
    """Averages over the faces that are not neutral, even where there are none."""

    def loss(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        emotional = batch.labels != self.task.expressions.index("neutral")
        return super().loss(batch, generator) | {"norm": 0 * self.read_channels(batch)[emotional].square().mean()}


class DependsOnTheSeed(ZeroShot):
    """Claims to need no training, and trains."""

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        self.text.add_(torch.randn(self.text.shape, generator=torch.Generator().manual_seed(seed)))
        yield {}


class LenientSettings(LinearProbeSettings):
    model_config = {"extra": "allow"}  # noqa: RUF012


class Lenient(LinearProbe):
    Settings = LenientSettings


@pytest.mark.parametrize(
    ("plugin", "promise"),
    [
        (NextClass, "classifies only 0% of easily separable faces correctly"),
        (PapersOrder, "predicts other expressions when their order changes"),
        (CentredOnTheTarget, "returns main logits that depend on the other faces"),
        (reading_heads.OpensATable, "imports fercache.store.tables.find_tables, which can read the target's faces"),
        (reading_heads.OpensHDF5, "opens target.h5 in training or scoring"),
        (reading_heads.LooksForFiles, "opens / in training or scoring"),
        (reading_heads.OpensAFile, "opens target.npy in training or scoring"),
        (AdaptsToTheTarget, "changes its state in scoring"),
        (KeptOutsideTheState, "returns other logits after its state is stored and loaded"),
        (NeedsAllInMemory, "needs all features of the source in memory"),
        (GlobalNoise, "uses a global random generator"),
        (GlobalSeed, "has other weights after training with the same seed again"),
        (NormalisesInPlace, "changes the faces that it is trained on"),
        (MeanOfNothing, "has a loss or gradient that is not finite for neutral faces only"),
        (DependsOnTheSeed, "has seeded = False, but its weights depend on the seed"),
        (Lenient, "accepts unknown settings"),
    ],
)
def test_a_bad_head_is_caught(plugin: type[Head], promise: str) -> None:
    assert any(text.startswith(promise) for text in check_head(plugin))
