"""Votes of the nearest faces, against a computation in numpy."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fercache.contracts.feature_space import SEVEN, faces, task
from fercache.heads import Batch, HeadSettings, knn
from fercache.heads.knn import LEAST_SHARE, NEIGHBOURS, KNearestNeighbours
from fercache.training import SourceFaces, train_head
from fercache.trunks import Faces


def fitted(train: Batch, validation: Batch | None = None) -> tuple[KNearestNeighbours, int]:
    head = KNearestNeighbours(task(with_text=False), HeadSettings())
    train_head(head, SourceFaces(train, validation or faces(70, 2)), HeadSettings(), seed=1)
    return head, int(head.k)


def shares(head: KNearestNeighbours, batch: Faces) -> np.ndarray:
    return head.logits(batch).softmax(1).numpy()


def reference(train: Batch, values: np.ndarray, test: Faces, k: int) -> np.ndarray:
    keys, queries = (
        x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train.features.numpy(), test.features.numpy())
    )
    nearest = np.argsort(-(queries @ keys.T), axis=1)[:, :k]
    votes = values[nearest].sum(axis=1)
    return votes / votes.sum(axis=1, keepdims=True)


def one_hot(labels: torch.Tensor) -> np.ndarray:
    return np.eye(len(SEVEN))[labels.numpy()]


@pytest.mark.parametrize("k", [1, 5, 20])
def test_the_softmax_of_the_logits_is_the_share_of_votes(k: int) -> None:
    train, test = faces(140, 1), faces(70, 3)
    head, _ = fitted(train)
    head.k.fill_(k)
    expected = reference(train, one_hot(train.labels), test, k)
    np.testing.assert_allclose(shares(head, test), expected, atol=1e-3)


def test_k_is_the_best_on_validation_and_the_smoothest_among_equals() -> None:
    train, validation = faces(140, 1), faces(140, 2)
    _, k = fitted(train, validation)
    right = {
        n: (reference(train, one_hot(train.labels), validation, n).argmax(1) == validation.labels.numpy()).mean()
        for n in NEIGHBOURS
    }
    assert right[k] == max(right.values()) > min(right.values())
    assert k == max(n for n in NEIGHBOURS if right[n] == right[k])
    assert fitted(train, train)[1] == 1  # with k = 1 each face finds itself


def test_there_are_no_more_neighbours_than_faces() -> None:
    head, k = fitted(faces(7, 1), faces(140, 2))
    assert k <= 7 and np.isfinite(shares(head, faces(5, 3))).all()


def test_soft_labels_spread_a_vote_and_class_weights_weigh_it() -> None:
    train, test = faces(140, 1, soft=True), faces(35, 3)
    weights = torch.tensor([1.0, 0.5, 2.0, 0.0, 1.0, 1.0, 3.0])
    head, _ = fitted(replace(train, class_weights=weights))
    head.k.fill_(10)
    assert train.distribution is not None
    expected = reference(train, train.distribution.numpy() * weights.numpy(), test, 10)
    np.testing.assert_allclose(shares(head, test), expected, atol=1e-3)
    assert torch.equal(train.distribution, faces(140, 1, soft=True).distribution)


def of_directions(angles: list[float], labels: list[int]) -> Batch:
    """Faces in a plane, by their angles in degrees."""
    turned = torch.deg2rad(torch.tensor(angles))
    features = torch.zeros(len(angles), task().dimension)
    features[:, 0], features[:, 1] = turned.cos(), turned.sin()
    return Batch(features, labels=torch.tensor(labels))


def test_of_copies_of_an_image_all_vote_whatever_their_order() -> None:
    angles, labels = [10.0, 10.0, 10.0, 90.0], [0, 1, 1, 2]
    found = []
    for order in (torch.arange(4), torch.arange(3, -1, -1)):
        head, _ = fitted(of_directions(angles, labels).rows(order))
        head.k.fill_(1)
        found.append(shares(head, of_directions([0.0], [0])))
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    np.testing.assert_allclose(found[0][0, :3], [1 / 3, 2 / 3, 0], atol=1e-3)


def test_of_as_many_votes_the_nearer_win() -> None:
    head, _ = fitted(of_directions([20.0, 10.0, 90.0], [0, 1, 2]))
    head.k.fill_(2)
    logits = head.logits(of_directions([0.0], [0]))
    assert logits.argmax() == 1 and logits[0, 2] == pytest.approx(np.log(LEAST_SHARE))


def test_what_was_stored_makes_a_new_head_the_same() -> None:
    head, k = fitted(faces(140, 1))
    other = KNearestNeighbours(task(with_text=False), HeadSettings())
    other.load_state_dict(head.state_dict())
    assert torch.equal(other.logits(faces(35, 3)), head.logits(faces(35, 3))) and int(other.k) == k


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 700 faces, 350 are stored, in ten cells, all of which are searched."""
    monkeypatch.setattr(knn, "MOST_FACES", 350)
    monkeypatch.setattr(knn, "CELL", 35)
    monkeypatch.setattr(knn, "PROBES", 10)


@pytest.mark.parametrize("k", [1, 5, 50])
@pytest.mark.usefixtures("cells")
def test_of_a_large_source_a_sample_votes(k: int) -> None:
    train, test = faces(700, 1), faces(140, 3)
    head, _ = fitted(train)
    head.k.fill_(k)
    assert head.memory.in_cells and len(head.memory.keys) == 350 and len(head.memory.centres) == 10
    stored = train.sample(350)
    expected = reference(stored, one_hot(stored.labels), test, k)
    np.testing.assert_allclose(shares(head, test), np.maximum(expected, LEAST_SHARE), atol=2e-3)


@pytest.mark.usefixtures("cells")
def test_some_cells_hold_most_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    head, _ = fitted(faces(700, 1))
    test = faces(140, 3)
    exact = head.memory.nearest(test.features, 5)[1]
    monkeypatch.setattr(knn, "PROBES", 4)
    found = head.memory.nearest(test.features, 5)[1]
    same = [len(set(one) & set(other)) / 5 for one, other in zip(exact.tolist(), found.tolist(), strict=True)]
    assert np.mean(same) > 0.9


@pytest.mark.usefixtures("cells")
def test_cells_are_stored_with_the_head() -> None:
    head, _ = fitted(faces(700, 1))
    again = KNearestNeighbours(task(with_text=False), HeadSettings())
    again.load_state_dict(head.state_dict())
    assert torch.equal(again.logits(faces(70, 3)), head.logits(faces(70, 3)))
