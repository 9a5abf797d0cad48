"""The whole head against the reference numbers, and its kinship with zero-shot."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fercache import losses
from fercache.contracts.feature_space import LOGIT_SCALE, SEVEN, faces, task
from fercache.errors import UsageError
from fercache.heads import Batch, HeadSettings, Task
from fercache.heads.text_similarity import TextSimilarity
from fercache.heads.zero_shot import ZeroShot
from fercache.training import SourceFaces, build_head, fit
from tests.test_losses import GRADIENT_TOLERANCE, LOSS_TOLERANCE, departure, golden, places


class Detached(nn.Module):
    """A mutant of the transformation: no gradient passes through it into the face."""

    def __init__(self, transformation: nn.Module) -> None:
        super().__init__()
        self.transformation = transformation

    def forward(self, embedding: Tensor) -> Tensor:
        transformed: Tensor = self.transformation(embedding.detach())
        return transformed


def reference_departures(variant: str, place: Path, mutate: bool = False) -> tuple[float, float, float]:
    """Of the total, of the face's gradient and of T's, for a head that is given the reference's weights."""
    z = golden("ke2nt_losses", torch.float64, place)
    head: Any = TextSimilarity(
        Task(SEVEN, z["text_embedding"].shape[1], z["text_embedding"], 100.0), TextSimilarity.Settings(variant=variant)
    ).double()
    names = {"0.weight": "fc1_weight", "0.bias": "fc1_bias", "2.weight": "fc2_weight", "2.bias": "fc2_bias"}
    head.to_neutral.load_state_dict({ours: z["mlp_" + theirs] for ours, theirs in names.items()})
    first = head.to_neutral[0]
    if mutate:
        head.to_neutral = Detached(head.to_neutral)
    embedding = z["face_embedding"].clone().requires_grad_()  # the untrained trunk adds nothing to it
    total = sum(head.loss(Batch(embedding, labels=z["label"]), torch.Generator()).values())
    # The trunk's first layer meets a last layer of zeros, so that all of the gradient comes along the identity.
    total.backward()
    suffix = "_paired" if variant == "paired" else ""
    return (
        departure(total, z["loss_total_" + variant]),
        departure(embedding.grad, z["grad_face_embedding" + suffix]),
        departure(first.weight.grad, z["grad_mlp_fc1_weight" + suffix]),
    )


@places
@pytest.mark.parametrize("variant", ["paired", "official"])
def test_the_loss_of_the_whole_head_agrees_with_the_reference(variant: str, place: Path) -> None:
    total, face, transformation = reference_departures(variant, place)
    assert total <= LOSS_TOLERANCE
    assert face <= GRADIENT_TOLERANCE
    assert transformation <= GRADIENT_TOLERANCE


@places
@pytest.mark.parametrize("variant", ["paired", "official"])
def test_a_detached_face_shows_in_the_gradient_alone(variant: str, place: Path) -> None:
    total, face, _ = reference_departures(variant, place, mutate=True)
    assert total <= LOSS_TOLERANCE
    assert face > 1000 * GRADIENT_TOLERANCE


def test_an_untrained_head_is_zero_shot_exactly() -> None:
    head = build_head(TextSimilarity, task(), TextSimilarity.Settings(), seed=1)
    batch = faces(70, 1)
    assert torch.equal(head.logits(batch), ZeroShot(task(), HeadSettings()).logits(batch))


def test_training_moves_the_faces_and_not_the_texts() -> None:
    chosen = TextSimilarity.Settings(epochs=3)
    head: Any = build_head(TextSimilarity, task(), chosen, seed=1)
    before = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    fit(head, SourceFaces(faces(70, 1), faces(35, 2)), chosen, seed=1)
    moved = {name for name, tensor in head.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {name for name in before if name not in ("text", "logit_scale")}


def test_a_source_without_neutral_faces_is_refused() -> None:
    with pytest.raises(UsageError, match="no neutral faces, only surprise, fear"):
        TextSimilarity(task(("surprise", "fear")), TextSimilarity.Settings())


def test_the_contrastive_variant_uses_the_scale_of_the_logits() -> None:
    head: Any = build_head(TextSimilarity, task(), TextSimilarity.Settings(variant="contrastive"), seed=1)
    batch = faces(21, 1)
    pair = (batch.features, head.to_neutral(batch.features), head.text, batch.labels, SEVEN.index("neutral"))
    expected = losses.self_contrast_loss(*pair, losses.Contrast("contrastive", LOGIT_SCALE))
    torch.testing.assert_close(head.loss(batch, torch.Generator())["self_contrast"], expected)
