"""The discriminant for unseen domains, against its formula in numpy."""

import numpy as np
import torch

from fercache.contracts.feature_space import DIMENSION, SEVEN, faces, task
from fercache.heads import Batch
from fercache.heads.shift_gda import COARSE, COARSE_SHARE, FINE, SCALE, ShiftGda, ShiftGdaSettings
from fercache.training import SourceFaces, train_head


def fitted(train: Batch, *seen: Batch, **settings: float) -> ShiftGda:
    """After it has seen clean and corrupted faces."""
    head = ShiftGda(task(with_text=False), ShiftGdaSettings(**settings))
    if seen:
        head.learn_shift(*(batch.features for batch in seen))
    assert list(head.candidates(train, 0)) == [{}]
    return head


def moved(batch: Batch, along: int) -> Batch:
    """The same faces, each moved at random along one axis."""
    features = batch.features.clone()
    features[:, along] += 20 * torch.randn(len(batch), generator=torch.Generator().manual_seed(7))
    return Batch(features, labels=batch.labels)


def unit(batch: Batch) -> np.ndarray:
    rows = batch.features.double().numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_logits_follow_the_formula() -> None:
    train, test, clean = faces(140, 1), faces(35, 3), faces(70, 2)
    corrupted = moved(clean, along=0)
    u, labels, v = unit(train), train.labels.numpy(), unit(test)
    means = np.stack([u[labels == k].mean(axis=0) for k in range(7)])
    centre, within = means.mean(axis=0), np.cov((u - means[labels]).T, bias=True)
    changes = unit(corrupted) - unit(clean)
    expected = 0.0
    for share, shrinkage, shift in ((1 - COARSE_SHARE, FINE, 2.0), (COARSE_SHARE, COARSE, 0.0)):
        total = within + shift * changes.T @ changes / len(changes)
        shrunk = (1 - shrinkage) * total + shrinkage * np.trace(total) / DIMENSION * np.eye(DIMENSION)
        weight = (means - centre) @ np.linalg.inv(shrunk)
        bias = -0.5 * 0.3 * ((means - centre) * weight).sum(axis=1)
        on_source, on_test = ((x - centre) @ weight.T + bias for x in (u, v))
        expected = expected + SCALE * share * on_test / on_source.std()
    head = fitted(train, clean, corrupted, shift=2.0, strength=0.3)
    np.testing.assert_allclose(head.logits(test).numpy(), expected, atol=1e-3)


def test_a_direction_in_which_corrupted_faces_move_counts_less() -> None:
    train, clean = faces(140, 1), faces(70, 2)
    before, after = fitted(train), fitted(train, clean, moved(clean, along=5))
    share = [float(head.weight[:, 5].norm() / head.weight.norm()) for head in (before, after)]
    assert share[1] < share[0] / 3


def test_without_corrupted_faces_or_with_weight_zero_there_is_no_shift() -> None:
    train, clean = faces(140, 1), faces(70, 2)
    without, zero = fitted(train), fitted(train, clean, moved(clean, along=5), shift=0)
    assert torch.equal(without.weight, zero.weight)


def test_training_shows_it_source_validation_clean_and_corrupted_and_no_labels() -> None:
    train, validation = faces(140, 1), faces(70, 2)
    clean = validation.rows(torch.arange(40))
    shifted = moved(clean, along=5)
    head = ShiftGda(task(with_text=False), ShiftGdaSettings())
    train_head(head, SourceFaces(train, validation, shifted, unshifted=clean), ShiftGdaSettings(), seed=1)
    assert torch.equal(head.weight, fitted(train, clean, shifted).weight)
    other = Batch(shifted.features, labels=shifted.labels.flip(0))
    again = ShiftGda(task(with_text=False), ShiftGdaSettings())
    train_head(again, SourceFaces(train, validation, other, unshifted=clean), ShiftGdaSettings(), seed=1)
    assert torch.equal(head.weight, again.weight)


def test_an_expression_that_the_source_lacks_is_never_named() -> None:
    logits = fitted(faces(60, 1, shown=("fear", "anger"))).logits(faces(70, 3))
    assert torch.isfinite(logits).all() and {SEVEN[k] for k in logits.argmax(1)} <= {"fear", "anger"}
