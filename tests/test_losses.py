"""The losses against reference numbers, gradients included, and what must hold for any numbers.

The reference numbers are two .npz files, `cafe_losses` and `ke2nt_losses`: our own in `tests/golden`, with the
equations that they come from, and larger ones, in part from the papers' code, in the folder FERCACHE_TEST_GOLDEN
(default: `shared/golden` beside the project).
"""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fercache import losses
from tests.golden.__main__ import cafe_inputs, ke2nt_inputs
from tests.golden.equations import cafe, ke2nt

GOLDEN = Path(os.environ.get("FERCACHE_TEST_GOLDEN", Path(__file__).parents[2] / "shared" / "golden"))
OWN = Path(__file__).parent / "golden"
LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-5, 1e-6
NEUTRAL = 6

Numbers = dict[str, Tensor]
few_examples = settings(max_examples=25, deadline=None, derandomize=True)


places = pytest.mark.parametrize("place", [OWN, GOLDEN], ids=["own", "shared"])


def golden(name: str, dtype: torch.dtype, place: Path) -> Numbers:
    path = place / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"no reference numbers at {path}; FERCACHE_TEST_GOLDEN names their folder")
    with np.load(path) as arrays:
        tensors = {key: torch.tensor(arrays[key]) for key in arrays}
    return {key: t.to(dtype) if t.is_floating_point() else t for key, t in tensors.items()}


def departure(ours: Tensor, theirs: Tensor) -> float:
    """max |ours - theirs| / max |theirs|"""
    return float((ours.detach().double() - theirs.double()).abs().max() / theirs.double().abs().max())


def cafe_departures(variant: str, dtype: torch.dtype, place: Path, implementation: Any = losses) -> dict[str, float]:
    """How far an implementation of CAFE is from the reference, by quantity; gradients begin with `grad`."""
    z = golden("cafe_losses", dtype, place)
    mask_logits = z["mask_logit"].clone().requires_grad_()
    masked = implementation.mask_features(z["clip_feature"], implementation.sigmoid_mask(mask_logits))
    logits = masked @ z["fc_weight"].T + z["fc_bias"]
    dropped = implementation.drop_channels(masked, z["channel_keep"].to(dtype))
    separated = implementation.group_maxima(dropped, 7, variant)
    terms = implementation.cafe_terms(
        implementation.classification_loss(logits, z["label"]),
        implementation.separation_loss(separated, z["label"]),
        implementation.diversity_loss(implementation.group_maxima(masked, 7, variant), masked.shape[1], variant),
        separation_weight=1.5,
        diversity_weight=5.0,
    )
    total = sum(terms.values(), torch.zeros(()))
    total.backward()
    suffix = "_paper" if variant == "paper" else ""
    found = {
        "cls": departure(terms["classification"], z["loss_cls"]),
        "sep": departure(terms["separation"], 1.5 * z["loss_sep" + suffix]),
        "div": departure(terms["diversity"], 5 * z["loss_div_" + variant]),
        "total": departure(total, z["loss_total_" + variant]),
        "fc_logits": departure(logits, z["fc_logits"]),
        "grad mask_logit": departure(mask_logits.grad, z["grad_mask_logit" + suffix]),
    }
    if variant == "paper":
        found["group_logits"] = departure(separated, z["group_logits_paper"])
    return found


def transform(z: Numbers, embedding: Tensor) -> Tensor:
    """T of the reference."""
    hidden = torch.relu(embedding @ z["mlp_fc1_weight"].T + z["mlp_fc1_bias"])
    return hidden @ z["mlp_fc2_weight"].T + z["mlp_fc2_bias"]


def ke2nt_departures(
    variant: str,
    dtype: torch.dtype,
    place: Path,
    implementation: Any = losses,
    transform: Callable[[Numbers, Tensor], Tensor] = transform,
) -> dict[str, float]:
    """How far an implementation of KE2NT is from the reference, by quantity; gradients begin with `grad`."""
    z = golden("ke2nt_losses", dtype, place)
    embedding, weight = z["face_embedding"].clone().requires_grad_(), z["mlp_fc1_weight"].clone().requires_grad_()
    neutral = transform({**z, "mlp_fc1_weight": weight}, embedding)
    logits = implementation.similarity_logits(embedding, z["text_embedding"], 100.0)
    pair = (embedding, neutral, z["text_embedding"], z["label"], NEUTRAL)
    terms = implementation.ke2nt_terms(
        implementation.similarity_loss(logits, z["label"]),
        implementation.transformation_loss(*pair),
        implementation.self_contrast_loss(*pair, losses.Contrast(variant, 100.0)),
    )
    total = sum(terms.values(), torch.zeros(()))
    total.backward()
    suffix = "" if variant == "official" else f"_{variant}"
    return {
        "neutral": departure(neutral, z["neutral_embedding"]),
        "logits": departure(logits, z["logits"]),
        "similarity": departure(terms["similarity"], z["loss_similarity"]),
        "transformation": departure(terms["transformation"], z["loss_transform"]),
        "self_contrast": departure(terms["self_contrast"], z["loss_selfcontrast_" + variant]),
        "total": departure(total, z["loss_total_" + variant]),
        "grad face_embedding": departure(embedding.grad, z["grad_face_embedding" + suffix]),
        "grad mlp_fc1_weight": departure(weight.grad, z["grad_mlp_fc1_weight" + suffix]),
    }


@pytest.mark.parametrize("variant", ["paired", "official", "contrastive"])
def test_a_batch_without_emotional_faces_is_its_similarity_alone(variant: str) -> None:
    z = golden("ke2nt_losses", torch.float64, OWN)
    pair = (z["face_embedding"], z["neutral_embedding"], z["text_embedding"], torch.full_like(z["label"], NEUTRAL))
    logits = losses.similarity_logits(z["face_embedding"], z["text_embedding"], 100.0)
    terms = losses.ke2nt_terms(
        losses.similarity_loss(logits, pair[3]),
        losses.transformation_loss(*pair, NEUTRAL),
        losses.self_contrast_loss(*pair, NEUTRAL, losses.Contrast(variant, 100.0)),
    )
    assert terms["transformation"] == terms["self_contrast"] == 0
    assert departure(terms["similarity"], z[f"loss_total_{variant}_no_emotion"]) <= LOSS_TOLERANCE


def test_the_contrastive_variant_agrees_with_our_own_reference() -> None:
    assert disagreements(ke2nt_departures("contrastive", torch.float64, OWN)) == {}


def test_our_own_references_are_what_their_equations_give() -> None:
    """All but the gradients, whose differences take a minute: `python -m tests.golden`."""
    for name, inputs, found in (
        ("cafe_losses", cafe_inputs(), lambda z: cafe(z, z["mask_logit"], "official")["total"]),
        ("ke2nt_losses", ke2nt_inputs(), lambda z: ke2nt(z, "official", z["label"])["total"]),
    ):
        z = golden(name, torch.float64, OWN)
        assert all(np.array_equal(z[key].numpy(), array) for key, array in inputs.items())
        assert float(z["loss_total_official"]) == pytest.approx(found(inputs), rel=1e-12)


def disagreements(departures: dict[str, float]) -> dict[str, float]:
    def tolerance(name: str) -> float:
        return GRADIENT_TOLERANCE if name.startswith("grad") else LOSS_TOLERANCE

    return {name: value for name, value in departures.items() if not value <= tolerance(name)}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("variant", ["paper", "official"])
@places
def test_cafe_agrees_with_the_reference(variant: str, dtype: torch.dtype, place: Path) -> None:
    assert disagreements(cafe_departures(variant, dtype, place)) == {}


@pytest.mark.parametrize("variant", ["paired", "official"])
@places
def test_ke2nt_agrees_with_the_reference(variant: str, place: Path) -> None:
    assert disagreements(ke2nt_departures(variant, torch.float64, place)) == {}


@pytest.mark.parametrize("variant", ["paired", "official"])
@places
def test_ke2nt_agrees_in_single_precision(variant: str, place: Path) -> None:
    """The scale of 100 in the cosines costs single precision a digit of the gradient, so only the losses are exact."""
    found = ke2nt_departures(variant, torch.float32, place)
    assert max(value for name, value in found.items() if not name.startswith("grad")) <= LOSS_TOLERANCE
    assert max(found.values()) <= 10 * GRADIENT_TOLERANCE


def mutant(**changed: Callable[..., Any]) -> SimpleNamespace:
    """The losses, some of them replaced."""
    return SimpleNamespace(**{**vars(losses), **changed})


def strided_maxima(masked: Tensor, groups: int, variant: str = "paper") -> Tensor:
    return torch.stack([masked[:, k::groups].amax(1) for k in range(groups)], dim=1)


def maxima_of_the_other_variant(masked: Tensor, groups: int, variant: str = "paper") -> Tensor:
    return losses.group_maxima(masked, groups, "official" if variant == "paper" else "paper")


def rounded_up_maxima(masked: Tensor, groups: int, variant: str = "paper") -> Tensor:
    return torch.stack([part.amax(1) for part in masked.chunk(groups, dim=1)], dim=1)


@pytest.mark.parametrize("maxima", [strided_maxima, maxima_of_the_other_variant, rounded_up_maxima])
@pytest.mark.parametrize("variant", ["paper", "official"])
@places
def test_a_wrong_grouping_disagrees(variant: str, maxima: Callable[..., Tensor], place: Path) -> None:
    assert "grad mask_logit" in disagreements(
        cafe_departures(variant, torch.float64, place, mutant(group_maxima=maxima))
    )


@pytest.mark.parametrize("variant", ["paired", "official"])
@places
def test_a_detached_embedding_disagrees(variant: str, place: Path) -> None:
    found = ke2nt_departures(
        variant, torch.float64, place, transform=lambda z, embedding: transform(z, embedding.detach())
    )
    assert set(disagreements(found)) == {"grad face_embedding"}


@places
def test_normalised_text_in_the_transformation_disagrees(place: Path) -> None:
    def normalised(embedding: Tensor, neutral: Tensor, text: Tensor, labels: Tensor, neutral_index: int) -> Tensor:
        return losses.transformation_loss(embedding, neutral, F.normalize(text, dim=1), labels, neutral_index)

    wrong = disagreements(ke2nt_departures("paired", torch.float64, place, mutant(transformation_loss=normalised)))
    assert {"transformation", "grad face_embedding"} <= set(wrong)


@pytest.mark.parametrize(("given_variant", "other"), [("paired", "official"), ("official", "paired")])
@places
def test_the_other_contrast_disagrees(given_variant: str, other: str, place: Path) -> None:
    swapped = mutant(self_contrast_loss=lambda *pair: losses.self_contrast_loss(*pair[:5], losses.Contrast(other)))
    assert "self_contrast" in disagreements(ke2nt_departures(given_variant, torch.float64, place, swapped))


# What holds for any numbers


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("variant", ["paper", "official"])
def test_gradients_of_cafe(variant: losses.CafeVariant) -> None:
    features, logits, labels = normal(5, 23), normal(5, 23, seed=1).requires_grad_(), torch.tensor([0, 1, 2, 1, 0])
    keep = losses.draw_channel_keep(23, 3, torch.Generator().manual_seed(2)).double()

    def terms(mask_logits: Tensor) -> tuple[Tensor, Tensor]:
        masked = losses.mask_features(features, losses.sigmoid_mask(mask_logits))
        separated = losses.group_maxima(losses.drop_channels(masked, keep), 3, variant)
        diversity = losses.diversity_loss(losses.group_maxima(masked, 3, variant), 23, variant)
        return losses.separation_loss(separated, labels), diversity

    assert torch.autograd.gradcheck(terms, logits)
    assert torch.autograd.gradcheck(lambda x: losses.classification_loss(x, labels), normal(5, 3).requires_grad_())


@pytest.mark.parametrize("variant", ["paired", "official", "contrastive"])
def test_gradients_of_ke2nt(variant: losses.ContrastVariant) -> None:
    embedding, neutral, text = normal(5, 6).requires_grad_(), normal(5, 6, seed=1).requires_grad_(), normal(3, 6)
    labels = torch.tensor([0, 1, 2, 1, 0])

    def similarity(embedding: Tensor) -> Tensor:
        return losses.similarity_loss(losses.similarity_logits(embedding, text, 3.0), labels)

    def pairs(embedding: Tensor, neutral: Tensor) -> tuple[Tensor, Tensor]:
        pair = (embedding, neutral, text, labels, 2)
        return losses.transformation_loss(*pair), losses.self_contrast_loss(*pair, losses.Contrast(variant, 3.0))

    assert torch.autograd.gradcheck(similarity, embedding)
    assert torch.autograd.gradcheck(pairs, (embedding, neutral))


@given(st.integers(1, 12), st.integers(0, 40), st.sampled_from(["paper", "official"]))
@few_examples
def test_groups_are_consecutive_for_any_number_of_channels(
    groups: int, further: int, variant: losses.CafeVariant
) -> None:
    channels = groups + further
    size = channels // groups
    # With rising values, a group's maximum is its last channel.
    last = losses.group_maxima(torch.arange(channels)[None].float(), groups, variant)[0].int().tolist()
    ends = [(k + 1) * size - 1 for k in range(groups)]
    assert last == ([*ends[:-1], channels - 1] if variant == "paper" else ends)


@given(st.integers(1, 9), st.integers(0, 600), st.integers(0, 5))
@few_examples
def test_ten_in_seventy_three_channels_of_each_group_are_dropped(groups: int, further: int, seed: int) -> None:
    channels = groups + further
    keep = losses.draw_channel_keep(channels, groups, torch.Generator().manual_seed(seed))
    starts = [k * (channels // groups) for k in range(groups)]
    for start, stop in zip(starts, [*starts[1:], channels], strict=True):
        assert int((keep[start:stop] == 0).sum()) == round(10 / 73 * (stop - start))
    assert set(keep.tolist()) <= {0.0, 1.0}


def test_more_groups_than_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="3 channels cannot be split into 4 groups"):
        losses.group_maxima(torch.zeros(2, 3), 4)


@given(st.permutations(range(5)), st.integers(0, 99))
@few_examples
def test_permuting_the_classes_permutes_the_logits(order: list[int], seed: int) -> None:
    embedding, neutral, text = normal(6, 10, seed=seed), normal(6, 10, seed=seed + 1), normal(5, 10, seed=seed + 2)
    labels = torch.randint(5, (6,), generator=torch.Generator().manual_seed(seed))
    place = torch.tensor(order).argsort()  # where a class is after the permutation
    permuted_text, permuted_labels = text[order], place[labels]

    logits = losses.similarity_logits(embedding, text, 10.0)
    # Not to the bit: a matrix product may add up in another order for another place of a row.
    torch.testing.assert_close(losses.similarity_logits(embedding, permuted_text, 10.0), logits[:, order])
    for variant in ("paired", "official", "contrastive"):
        loss = losses.self_contrast_loss(embedding, neutral, text, labels, 4, losses.Contrast(variant))
        permuted = losses.self_contrast_loss(
            embedding, neutral, permuted_text, permuted_labels, int(place[4]), losses.Contrast(variant)
        )
        torch.testing.assert_close(permuted, loss)
    torch.testing.assert_close(
        losses.transformation_loss(embedding, neutral, permuted_text, permuted_labels, int(place[4])),
        losses.transformation_loss(embedding, neutral, text, labels, 4),
    )

    blocks = embedding.reshape(6, 5, 2)
    maxima = losses.group_maxima(embedding, 5)
    permuted_maxima = losses.group_maxima(blocks[:, order].reshape(6, 10), 5)
    assert torch.equal(permuted_maxima, maxima[:, order])
    torch.testing.assert_close(
        losses.separation_loss(permuted_maxima, permuted_labels), losses.separation_loss(maxima, labels)
    )


def all_terms(labels: Tensor, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """The sum of every loss of both methods, all variants, and its gradient, for faces of these labels."""
    count = len(labels)
    features = normal(count, 24).to(dtype).requires_grad_()
    neutral, text = normal(count, 24, seed=1).to(dtype), normal(7, 24, seed=2).to(dtype)
    pair = (features, neutral, text, labels, NEUTRAL)
    total = losses.similarity_loss(losses.similarity_logits(features, text, 100.0), labels)
    total = total + losses.transformation_loss(*pair)
    for contrast in ("paired", "official", "contrastive"):
        total = total + losses.self_contrast_loss(*pair, losses.Contrast(contrast, 100.0))
    for variant in ("paper", "official"):
        maxima = losses.group_maxima(features, 7, variant)
        total = total + losses.separation_loss(maxima, labels) + losses.diversity_loss(maxima, 24, variant)
    total.backward()
    assert features.grad is not None
    return total, features.grad


@pytest.mark.parametrize(
    "labels", [[NEUTRAL] * 4, [NEUTRAL], [2], [0, 0, 1, 1], [NEUTRAL, 3]], ids=lambda labels: str(labels)
)
def test_no_batch_gives_nan(labels: list[int]) -> None:
    total, gradient = all_terms(torch.tensor(labels))
    assert torch.isfinite(total) and torch.isfinite(gradient).all()


@pytest.mark.parametrize("variant", ["paired", "official", "contrastive"])
def test_neutral_faces_have_no_part_in_the_emotional_terms(variant: losses.ContrastVariant) -> None:
    embedding, neutral, text = normal(4, 8), normal(4, 8, seed=1), normal(7, 8, seed=2)
    labels = torch.tensor([1, NEUTRAL, 3, NEUTRAL])
    emotional = labels != NEUTRAL
    with_them = (embedding, neutral, text, labels, NEUTRAL)
    without = (embedding[emotional], neutral[emotional], text, labels[emotional], NEUTRAL)
    none = (embedding[~emotional], neutral[~emotional], text, labels[~emotional], NEUTRAL)
    for loss, further in ((losses.transformation_loss, ()), (losses.self_contrast_loss, (losses.Contrast(variant),))):
        torch.testing.assert_close(loss(*with_them, *further), loss(*without, *further))
        assert loss(*none, *further) == 0


def test_a_contrast_prefers_its_own_face() -> None:
    """InfoNCE falls to nothing when faces are at their texts, and neutrals are opposite."""
    text = torch.eye(7, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2])
    near = losses.self_contrast_loss(
        text[labels], -text[labels], text, labels, NEUTRAL, losses.Contrast("contrastive", 100.0)
    )
    far = losses.self_contrast_loss(
        -text[labels], text[labels], text, labels, NEUTRAL, losses.Contrast("contrastive", 100.0)
    )
    assert near < 1e-6 < 100 < far


def test_soft_labels_and_class_weights_reach_the_cross_entropy() -> None:
    logits, labels = normal(4, 3), torch.tensor([0, 1, 2, 2])
    one_hot = F.one_hot(labels, 3).double()
    for loss in (losses.classification_loss, losses.separation_loss, losses.similarity_loss):
        torch.testing.assert_close(loss(logits, one_hot), loss(logits, labels))
        only_two = loss(logits, labels, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
        torch.testing.assert_close(only_two, loss(logits[2:], labels[2:]))
