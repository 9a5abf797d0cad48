"""Adaptations to a shifted target, against what they should undo."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fercache.adaptations import SourceFeatures, posteriors
from fercache.adaptations._guard import why_declined
from fercache.adaptations.center import plugin as center
from fercache.adaptations.center_balanced import PRIOR_FACES
from fercache.adaptations.center_balanced import plugin as center_balanced
from fercache.adaptations.prior import plugin as prior
from fercache.contracts.feature_space import DIMENSION, SEVEN, faces, text_of
from fercache.heads import Batch
from fercache.trunks import Faces

TRAIN = faces(700, seed=1)
ONE_HOT = F.one_hot(TRAIN.labels, len(SEVEN)).float()
SOURCE = SourceFeatures(ONE_HOT.T @ TRAIN.features / ONE_HOT.sum(0)[:, None], ONE_HOT.sum(0))


def scores(some: Faces) -> Tensor:
    return 20 * F.normalize(some.features, dim=1) @ F.normalize(SOURCE.means, dim=1).T


def by_text(some: Faces) -> Tensor:
    return 20 * F.normalize(some.features, dim=1) @ F.normalize(torch.stack([text_of(e) for e in SEVEN]), dim=1).T


def moved(some: Batch, by: Tensor) -> Faces:
    return Faces(some.features + by)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).float().mean())


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), size=st.floats(0, 8))
def test_centring_undoes_any_shift_of_all_features(seed: int, size: float) -> None:
    direction = F.normalize(torch.randn(DIMENSION, generator=torch.Generator().manual_seed(seed)), dim=0)
    found = center.adapt(moved(TRAIN, size * direction), scores, SOURCE)
    torch.testing.assert_close(found.shift, size * direction, atol=1e-3, rtol=1e-3)
    assert not found.offset.any()


def test_balanced_centring_is_the_weighted_mean_of_the_moves_of_expressions() -> None:
    target = moved(faces(70, seed=3), 0.3 * text_of("anger"))
    shares = posteriors(scores, target).double()
    moves, weights = [], []
    for k in range(len(SEVEN)):
        count = sum(float(row[k]) for row in shares)
        mean = sum(float(p[k]) * x.double() for p, x in zip(shares, target.features, strict=True)) / count
        moves.append(mean - SOURCE.means[k])
        weights.append(count / (count + PRIOR_FACES))
    expected = sum(w * move for w, move in zip(weights, moves, strict=True)) / sum(weights)
    found = center_balanced.adapt(target, scores, SOURCE)
    torch.testing.assert_close(found.shift.double(), expected.double(), atol=1e-4, rtol=1e-4)


def test_only_balanced_centring_keeps_its_shift_on_a_target_of_two_expressions() -> None:
    two = faces(210, seed=3, shown=("anger", "fear"))
    shift = 0.1 * text_of("happiness")
    target = moved(two, shift)
    plain, balanced = (
        float((each.adapt(target, scores, SOURCE).shift - shift).norm()) for each in (center, center_balanced)
    )
    assert balanced < 0.7 * plain


def test_an_expression_that_the_source_lacks_moves_nothing() -> None:
    without = SourceFeatures(SOURCE.means * (torch.arange(7) > 0)[:, None], SOURCE.faces * (torch.arange(7) > 0))
    found = center_balanced.adapt(Faces(TRAIN.features), scores, without)
    assert float(found.shift.norm()) < 1


def test_the_prior_finds_the_targets_mix_of_expressions() -> None:
    shown = ("anger",) * 8 + ("fear",) * 2
    found = prior.adapt(Faces(faces(500, seed=3, shown=shown).features), scores, SOURCE)
    mix = torch.softmax(found.offset + SOURCE.share.log(), 0)
    expected = torch.tensor([shown.count(name) / 10 for name in SEVEN])
    assert float((mix - expected).abs().max()) < 0.1
    assert not found.shift.any()


def test_an_adaptation_that_undoes_a_shift_is_accepted() -> None:
    test = faces(350, seed=3)
    target = moved(test, 0.4 * text_of("happiness"))
    found = center_balanced.adapt(target, by_text, SOURCE)
    assert why_declined(found, target, scores=by_text, source=SOURCE) == ""
    assert accuracy(found.logits(by_text, target), test.labels) >= accuracy(by_text(target), test.labels)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_centring_is_declined_on_a_target_of_few_expressions(count: int) -> None:
    target = Faces(faces(210, seed=3, shown=SEVEN[:count]).features)
    for adaptation in (center, center_balanced):
        declined = why_declined(adaptation.adapt(target, scores, SOURCE), target, scores=scores, source=SOURCE)
        assert "expressions are in effect" in declined


def test_the_prior_is_declined_on_a_target_of_all_expressions() -> None:
    target = Faces(faces(210, seed=3).features)
    found = prior.adapt(target, scores, SOURCE)
    assert "too many to correct their mix" in why_declined(found, target, scores=scores, source=SOURCE)
