"""How heads hand their settings, soft labels and class weights on to the losses: each shows in its own term."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fercache import losses
from fercache.contracts.feature_space import SEVEN, faces, task
from fercache.heads import Batch
from fercache.heads.masked_text import MaskedText
from fercache.heads.sigmoid_mask import SigmoidMask
from fercache.heads.text_similarity import TextSimilarity, _projection
from fercache.training import build_head

WEIGHTS = [
    (SigmoidMask, ("separation", "diversity")),
    (TextSimilarity, ("similarity", "transformation", "self_contrast")),
    (MaskedText, ("similarity", "transformation", "self_contrast", "separation", "diversity")),
]
ENTROPIES = [
    (SigmoidMask, ("classification", "separation")),
    (TextSimilarity, ("similarity",)),
    (MaskedText, ("similarity", "separation")),
]
ON = {"separation_weight": 1.5, "diversity_weight": 5.0}


def terms(head: Any, batch: Batch, **settings: Any) -> dict[str, Tensor]:
    settings = ({} if head is TextSimilarity else ON) | settings
    built: Any = build_head(head, task(), head.Settings(**settings), seed=1)
    built.eval()
    return dict(built.loss(batch, torch.Generator().manual_seed(1)))


@pytest.mark.parametrize(("head", "names"), WEIGHTS)
def test_each_weight_multiplies_its_own_term(head: Any, names: tuple[str, ...]) -> None:
    batch = faces(21, 1)
    for weighed in names:
        one, three = (terms(head, batch, **{f"{weighed}_weight": weight}) for weight in (1.0, 3.0))
        for name in one:
            torch.testing.assert_close(three[name], one[name] * (3 if name == weighed else 1))


@pytest.mark.parametrize(("head", "names"), ENTROPIES)
def test_soft_labels_reach_every_cross_entropy(head: Any, names: tuple[str, ...]) -> None:
    soft = faces(21, 1, soft=True)
    spread, sharp = terms(head, soft), terms(head, replace(soft, distribution=None))
    assert {name for name in spread if not torch.equal(spread[name], sharp[name])} == set(names)


@pytest.mark.parametrize(("head", "names"), ENTROPIES)
def test_class_weights_reach_every_cross_entropy_and_nothing_else(head: Any, names: tuple[str, ...]) -> None:
    batch = faces(21, 1)
    weighted = terms(head, replace(batch, class_weights=torch.arange(1.0, 8.0)))
    plain = terms(head, batch)
    assert {name for name in plain if not torch.equal(weighted[name], plain[name])} == set(names)


@pytest.mark.parametrize(("head", "setting"), [(SigmoidMask, "variant"), (MaskedText, "cafe_variant")])
def test_the_variant_changes_grouping_and_averaging(head: Any, setting: str) -> None:
    """48 channels: six in a group, and six left over for the last one, or for none."""
    batch, generator = faces(21, 1), torch.Generator
    for variant in ("paper", "official"):
        found = terms(head, batch, **{setting: variant, "separation_weight": 1.0, "diversity_weight": 1.0})
        built: Any = build_head(head, task(), head.Settings(), seed=1)
        masked = built.embed(batch) if head is MaskedText else built.read_channels(batch)
        dropped = losses.drop_channels(masked, losses.draw_channel_keep(48, 7, generator().manual_seed(1)))
        maxima = losses.group_maxima(masked, 7, variant)
        separated = losses.group_maxima(dropped, 7, variant)
        torch.testing.assert_close(found["diversity"], losses.diversity_loss(maxima, 48, variant))
        torch.testing.assert_close(found["separation"], losses.separation_loss(separated, batch.labels))
        if head is SigmoidMask:
            official: Any = build_head(head, task(), head.Settings(variant=variant), seed=1)
            assert torch.equal(official.readouts(batch)["groups"], maxima)


def test_the_contrast_of_the_setting_is_the_one_that_is_taken() -> None:
    batch = faces(21, 1)
    built: Any = build_head(TextSimilarity, task(), TextSimilarity.Settings(), seed=1)
    pair = (batch.features, built.to_neutral(batch.features), built.text, batch.labels, SEVEN.index("neutral"))
    for variant in ("paired", "official", "contrastive"):
        found = terms(TextSimilarity, batch, variant=variant)["self_contrast"]
        torch.testing.assert_close(found, losses.self_contrast_loss(*pair, losses.Contrast(variant, built.logit_scale)))


def test_texts_are_not_normalised_before_the_transformation_and_t_keeps_its_gradient() -> None:
    """Two texts of different length: L_t reads their difference as it is, and f_e gets gradient through T."""
    batch = faces(21, 1)
    uneven = task()
    assert uneven.text is not None
    longer = replace(uneven, text=uneven.text * torch.linspace(0.2, 3, 7)[:, None])
    built: Any = build_head(TextSimilarity, longer, TextSimilarity.Settings(), seed=1)
    embedding = batch.features.clone().requires_grad_()
    found = built.text_terms(embedding, batch)["transformation"]
    neutral = built.to_neutral(embedding)
    direction = longer.text[batch.labels] - longer.text[SEVEN.index("neutral")]
    emotional = batch.labels != SEVEN.index("neutral")
    cosines = torch.cosine_similarity(embedding - neutral, direction, dim=1)[emotional]
    torch.testing.assert_close(found, (1 - cosines).mean())
    (ours,) = torch.autograd.grad(found, embedding, retain_graph=True)
    (detached,) = torch.autograd.grad(
        (1 - torch.cosine_similarity(embedding - neutral.detach(), direction, dim=1)[emotional]).mean(), embedding
    )
    assert not torch.allclose(ours, detached, rtol=1e-3)


def test_a_head_that_masks_nothing_looks_at_no_pixels() -> None:
    assert SigmoidMask.needs_crops(SigmoidMask.Settings(trunk="resnet18"))
    assert not SigmoidMask.needs_crops(SigmoidMask.Settings(trunk="resnet18", mask="off"))


def test_the_projection_of_a_trunk_on_pixels_is_two_layers_each_with_batch_normalisation() -> None:
    layers: Any = _projection(96, 48)
    assert [type(layer).__name__ for layer in layers] == ["Linear", "BatchNorm1d", "Linear", "BatchNorm1d"]
    assert [(layer.in_features, layer.out_features) for layer in layers[::2]] == [(96, 96), (96, 48)]


def test_the_linear_layer_has_a_bias_and_a_mask_lies_between_0_and_1() -> None:
    built: Any = build_head(SigmoidMask, task(), SigmoidMask.Settings(), seed=1)
    assert built.classifier.bias is not None
    batch = faces(9, 1)
    assert torch.equal(built.mask(batch), torch.sigmoid(built.trunk(batch)))
