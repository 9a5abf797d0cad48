"""Tip-Adapter's two kinds, against a computation in numpy."""

from typing import Any

import numpy as np
import pytest
import torch

from fercache.contracts.feature_space import LOGIT_SCALE, SEVEN, faces, task, text_of
from fercache.heads import Batch
from fercache.heads.tip_adapter import ALPHAS, BETAS, TipAdapter, draw_shots
from fercache.heads.tip_adapter_f import TipAdapterF
from fercache.heads.zero_shot import ZeroShot
from fercache.training import SourceFaces, build_head, train_head


def fitted(train: Batch, validation: Batch, seed: int = 1, **settings: Any) -> TipAdapter:
    head = TipAdapter(task(), TipAdapter.Settings(**settings))
    train_head(head, SourceFaces(train, validation), TipAdapter.Settings(**settings), seed=seed)
    return head


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def reference(memory: Batch, test: Batch, alpha: float, beta: float) -> np.ndarray:
    """The paper's formula."""
    queries, keys = unit(test.features.numpy()), unit(memory.features.numpy())
    text = unit(np.stack([text_of(expression).numpy() for expression in SEVEN]))
    values = np.eye(len(SEVEN))[memory.labels.numpy()]
    return LOGIT_SCALE * queries @ text.T + alpha * np.exp(-beta * (1 - queries @ keys.T)) @ values


def accuracy(logits: np.ndarray, batch: Batch) -> float:
    return float((logits.argmax(1) == batch.labels.numpy()).mean())


def turned(count: int, seed: int) -> Batch:
    """Faces that lie near the texts of other expressions, so that only remembered faces tell."""
    batch = faces(count, seed)
    return Batch(batch.features, labels=(batch.labels + 1) % len(SEVEN))


def test_logits_are_the_papers() -> None:
    train, test = faces(70, 1), faces(35, 3)
    head = fitted(train, faces(70, 2), shots=0)
    expected = reference(train, test, float(head.alpha), float(head.beta))
    np.testing.assert_allclose(head.logits(test).numpy(), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("made", [faces, turned])
def test_alpha_and_beta_are_the_best_on_source_validation(made: Any) -> None:
    train, validation = made(140, 1), made(70, 2)
    head = fitted(train, validation, shots=0)
    right = {(a, b): accuracy(reference(train, validation, a, b), validation) for a in ALPHAS for b in BETAS}
    assert right[round(float(head.alpha), 6), float(head.beta)] == max(right.values())


def test_remembered_faces_overrule_the_text_where_validation_says_so() -> None:
    test = turned(70, 3)
    zero_shot = accuracy(ZeroShot(task(), ZeroShot.Settings()).logits(test).numpy(), test)
    assert zero_shot < 0.2
    assert accuracy(fitted(turned(210, 1), turned(70, 2), shots=0).logits(test).numpy(), test) > 0.7


def test_shots_are_drawn_with_the_seed_and_are_no_more_than_there_are() -> None:
    labels = torch.tensor([0] * 20 + [1] * 3 + [4])
    drawn = draw_shots(labels, 5, seed=1)
    assert labels[drawn].bincount().tolist() == [5, 3, 0, 0, 1]
    assert len(drawn.unique()) == len(drawn)
    assert torch.equal(drawn, draw_shots(labels, 5, seed=1))
    assert not torch.equal(drawn, draw_shots(labels, 5, seed=2))
    assert torch.equal(draw_shots(labels, 0, seed=1), torch.arange(24))


def test_soft_labels_are_remembered_as_they_are() -> None:
    train = faces(21, 1, soft=True)
    head = fitted(train, faces(35, 2), shots=0)
    assert train.distribution is not None and torch.equal(head.memory.values, train.distribution)


def tuned(train: Batch, validation: Batch, **settings: Any) -> tuple[TipAdapterF, Any]:
    chosen = TipAdapterF.Settings(**settings)
    head = build_head(TipAdapterF, task(), chosen, seed=1)
    assert isinstance(head, TipAdapterF)
    return head, train_head(head, SourceFaces(train, validation), chosen, seed=1)


def test_training_moves_the_keys_alone_and_starts_from_tip_adapter() -> None:
    train, validation = turned(140, 1), turned(70, 2)
    settings = {"shots": 4, "batch_size": 20}
    head, _ = tuned(train, validation, epochs=3, **settings)
    start = fitted(train, validation, seed=1, shots=4).state_dict()
    moved = {name for name, tensor in head.state_dict().items() if not torch.equal(tensor, start[name])}
    assert moved == {"memory.keys"}
    assert [name for name, _ in head.named_parameters()] == ["memory.keys"]
    with torch.no_grad():
        distance = (head.memory.keys - start["memory.keys"]).norm(dim=1)
    assert 0 < distance.max() < 0.5


def test_training_lowers_the_loss() -> None:
    _, fit = tuned(turned(140, 1), turned(70, 2), shots=4, batch_size=20, epochs=10)
    assert fit.history[-1]["similarity"] < fit.history[0]["similarity"]


def test_each_snapshot_makes_a_new_head_the_same() -> None:
    head, fit = tuned(faces(70, 1), faces(35, 2), epochs=2)
    other = build_head(TipAdapterF, task(), TipAdapterF.Settings(), seed=9)
    other.load_state_dict(list(fit.snapshots.values())[-1])
    assert torch.equal(other.logits(faces(35, 3)), head.logits(faces(35, 3)))
