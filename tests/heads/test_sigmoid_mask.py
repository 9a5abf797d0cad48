"""The whole head against the reference numbers, and its settings."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fercache import losses
from fercache.contracts.feature_space import SEVEN, faces, task
from fercache.heads import Batch, Task
from fercache.heads.sigmoid_mask import SigmoidMask
from fercache.trunks import Faces
from tests.test_losses import GRADIENT_TOLERANCE, LOSS_TOLERANCE, departure, golden, places


class Given(nn.Module):
    """A trunk whose output is a parameter."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.value = nn.Parameter(output)

    def forward(self, faces: Faces) -> Tensor:
        return self.value


@places
@pytest.mark.parametrize("variant", ["paper", "official"])
def test_the_loss_of_the_whole_head_agrees_with_the_reference(
    variant: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    z = golden("cafe_losses", torch.float64, place)
    head: Any = SigmoidMask(Task(SEVEN, z["clip_feature"].shape[1]), SigmoidMask.Settings(variant=variant)).double()
    head.trunk = Given(z["mask_logit"])
    head.classifier.load_state_dict({"weight": z["fc_weight"], "bias": z["fc_bias"]})
    monkeypatch.setattr(losses, "draw_channel_keep", lambda channels, groups, generator: z["channel_keep"])
    terms = head.loss(Batch(z["clip_feature"], labels=z["label"]), torch.Generator())
    total = sum(terms.values())
    total.backward()
    gradient = z["grad_mask_logit" + ("_paper" if variant == "paper" else "")]
    assert departure(total, z["loss_total_" + variant]) <= LOSS_TOLERANCE
    assert departure(head.trunk.value.grad, gradient) <= GRADIENT_TOLERANCE
    assert departure(head.logits(Faces(z["clip_feature"])), z["fc_logits"]) <= LOSS_TOLERANCE


def build(**settings: Any) -> SigmoidMask:
    torch.manual_seed(0)
    return SigmoidMask(task(), SigmoidMask.Settings(**settings))


def test_the_groups_readout_is_the_maxima_without_dropping() -> None:
    head, batch = build(), faces(5, 1)
    groups, mask = head.readouts(batch)["groups"], head.mask(batch)
    assert mask is not None
    assert torch.equal(groups, losses.group_maxima(batch.features * mask, 7))


def test_features_keep_their_scale() -> None:
    head, batch = build(mask="off"), faces(5, 1)
    assert torch.equal(head.read_channels(batch), batch.features)
    assert torch.equal(head.logits(batch), head.classifier(batch.features))
    assert head.mask(batch) is None and head.readouts(batch) == {} and not hasattr(head, "trunk")


def test_concat_reads_features_and_trunk_side_by_side_and_trunk_reads_it_alone() -> None:
    batch = faces(5, 1)
    both, alone = build(mask="concat"), build(mask="trunk")
    assert torch.equal(both.read_channels(batch), torch.cat([batch.features, both.trunk(batch)], dim=1))
    assert torch.equal(alone.read_channels(batch), alone.trunk(batch))
    for head in (both, alone):
        assert set(head.loss(batch, torch.Generator())) == {"classification"}
        assert head.mask(batch) is None and head.readouts(batch) == {}


def test_a_linear_mask_is_the_trunk_itself() -> None:
    head, batch = build(mask="linear"), faces(5, 1)
    assert torch.equal(head.read_channels(batch), batch.features * head.trunk(batch))


def test_the_channels_to_drop_are_drawn_for_each_batch_from_the_generator() -> None:
    head, batch = build(), faces(20, 1)
    generator = torch.Generator().manual_seed(1)
    first, second = (head.loss(batch, generator)["separation"].item() for _ in range(2))
    again = head.loss(batch, torch.Generator().manual_seed(1))["separation"].item()
    assert first == again != second


def test_a_weight_of_zero_switches_a_term_off() -> None:
    terms = build(separation_weight=0, diversity_weight=0).loss(faces(5, 1), torch.Generator())
    assert terms["separation"] == terms["diversity"] == 0 < terms["classification"]


def test_class_weights_weigh_both_cross_entropies() -> None:
    head, batch = build(), faces(14, 1)
    happy = SEVEN.index("happiness")
    weights = torch.eye(7)[happy]
    only_happy = batch.rows(torch.nonzero(batch.labels == happy)[:, 0])
    weighted = head.loss(replace(batch, class_weights=weights), torch.Generator().manual_seed(1))
    alone = head.loss(only_happy, torch.Generator().manual_seed(1))
    for name in ("classification", "separation"):
        torch.testing.assert_close(weighted[name], alone[name])
