"""Regressions in passes have the coefficients and probabilities of scikit-learn's, wherever the features are."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from fercache.contracts.feature_space import SEVEN, faces, task
from fercache.heads import Batch, _logistic, _newton
from fercache.heads import linear_probe as module
from fercache.heads._logistic import Regression
from fercache.heads._newton import fit, stratified
from fercache.heads.linear_probe import BALANCES, SCALINGS, Labelled, LinearProbe, LinearProbeSettings
from fercache.loading.features import FeaturesOnDisk
from fercache.store.rows import JoinedRows
from fercache.training import SourceFaces, train_head

UNEVEN = ("happiness",) * 9 + ("neutral",) * 5 + SEVEN
EVERY = [Regression(n, b, c) for n in SCALINGS for b in BALANCES for c in (1e-4, 1e-2, 1.0)]


@pytest.fixture(autouse=True)
def small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the curvature of a sample is not that of all faces."""
    monkeypatch.setattr(_newton, "SAMPLE", 700)
    monkeypatch.setattr(_logistic, "FACES_AT_ONCE", 256)
    monkeypatch.setattr(_newton, "FACES_AT_ONCE", 256)


def confused(count: int, shown: tuple[str, ...] = UNEVEN, soft: bool = False) -> Batch:
    """Faces with channels of unequal size, of which a quarter has another expression's label."""
    batch = faces(count, 1, shown=shown, soft=soft)
    generator = torch.Generator().manual_seed(0)
    size = torch.logspace(-1, 1, batch.features.shape[1])
    features = (batch.features + 2 * torch.randn(batch.features.shape, generator=generator) + 1) * size
    others = batch.labels[torch.randperm(count, generator=generator)]
    labels = torch.where(torch.rand(count, generator=generator) < 0.25, others, batch.labels)
    return replace(batch, features=features, labels=labels)


def nothing(faces: int) -> None:
    """Watches no progress."""


def scaled(batch: Batch, normalise: str) -> NDArray[np.float64]:
    rows = batch.features.double().numpy()
    if normalise == "l2":
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    if normalise == "standardise":
        return np.asarray((rows - rows.mean(axis=0)) / rows.std(axis=0))
    return np.asarray(rows / np.sqrt(np.mean(rows**2)))


def reference(batch: Batch, wanted: Regression) -> NDArray[np.float64]:
    """(N, L) probabilities by scikit-learn, at its minimum."""
    labelled, rows = Labelled.of(batch), scaled(batch, wanted.normalise)
    weights = labelled.balanced if wanted.balance == "weights" else labelled.weights
    regression = LogisticRegression(C=wanted.strength, max_iter=5000, tol=1e-8)
    regression.fit(rows[labelled.rows], labelled.labels, sample_weight=weights)
    return np.asarray(regression.predict_proba(rows))


def probabilities(batch: Batch, wanted: Regression, weight: Any, bias: Any) -> NDArray[np.float64]:
    rows = batch.features.double().numpy()
    if wanted.normalise == "l2":
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    scores = rows @ weight.T + bias
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(chances / chances.sum(axis=1, keepdims=True))


BATCHES = {
    "hard": confused(2500),
    "soft": confused(800, soft=True),
    "two expressions": confused(1500, ("fear", "fear", "anger")),
}


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_probabilities_are_those_of_scikit_learn(batch: Batch) -> None:
    _, weights, biases = fit(batch, EVERY, nothing)
    for wanted, weight, bias in zip(EVERY, weights, biases, strict=True):
        differences = np.abs(probabilities(batch, wanted, weight, bias) - reference(batch, wanted))
        assert differences.max() < 0.01, wanted
        assert differences.mean() < 1e-3, wanted


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_more_passes_end_at_the_same_minimum(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_newton, "TOLERANCE", 1e-11)
    monkeypatch.setattr(_newton, "PASSES", 60)
    wanted = [Regression(normalise, "weights", 0.1) for normalise in SCALINGS]
    _, weights, biases = fit(batch, wanted, nothing)
    for each, weight, bias in zip(wanted, weights, biases, strict=True):
        np.testing.assert_allclose(probabilities(batch, each, weight, bias), reference(batch, each), atol=2e-4)


@pytest.mark.parametrize("batch", [BATCHES["hard"], BATCHES["two expressions"]], ids=["hard", "two expressions"])
def test_coefficients_are_those_of_scikit_learn(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the head, whose features are not scaled."""
    settings = LinearProbeSettings()
    small = {str(each): state_of(head) for each, head in candidates(batch, settings)}
    monkeypatch.setattr(module, "MOST_FOR_SCIKIT_LEARN", 0)
    for each, head in candidates(batch, settings):
        if each["C"] <= 1e-2:  # with a weaker penalty, scikit-learn stops earlier
            ours, theirs = state_of(head)[0], small[str(each)][0]
            assert float((ours - theirs).norm() / theirs.norm()) < 0.02, each
        assert state_of(head)[1] == small[str(each)][1]


def candidates(batch: Batch, settings: LinearProbeSettings) -> Any:
    head = LinearProbe(task(), settings)
    return ((candidate, head) for candidate in head.candidates(batch, 0))


def state_of(head: LinearProbe) -> tuple[Tensor, bool]:
    return head.weight.clone(), bool(head.unit)


def test_expressions_without_faces_are_never_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FOR_SCIKIT_LEARN", 0)
    batch = confused(900, ("fear", "anger", "neutral"))
    for _, head in candidates(batch, LinearProbeSettings()):
        assert {SEVEN[k] for k in head.logits(batch).argmax(1)} <= {"fear", "anger", "neutral"}


def test_features_on_disk_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FOR_SCIKIT_LEARN", 0)
    batch = confused(900)
    stored = replace(batch, features=cast(Tensor, FeaturesOnDisk(JoinedRows([batch.features.numpy()]), "cpu")))
    settings = LinearProbeSettings(normalise="standardise", balance="none")
    for (_, one), (_, two) in zip(candidates(batch, settings), candidates(stored, settings), strict=True):
        assert torch.equal(one.weight, two.weight) and torch.equal(one.bias, two.bias)


def test_easily_separable_faces_end_in_time() -> None:
    batch = faces(1400, 1)
    _, weights, biases = fit(batch, EVERY, nothing)
    for wanted, weight, bias in zip(EVERY, weights, biases, strict=True):
        assert (probabilities(batch, wanted, weight, bias).argmax(1) == batch.labels.numpy()).mean() > 0.99


def test_the_sample_has_equally_many_faces_of_each_expression() -> None:
    labels = np.repeat([0, 1, 2], [1000, 30, 500])
    rows = stratified(labels, 330)
    assert np.bincount(labels[rows]).tolist() == [150, 30, 150]
    assert len(set(rows)) == len(rows) and (np.diff(rows) > 0).all()
    assert len(stratified(labels, 5000)) == 1530


def test_progress_reaches_all_faces_while_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FOR_SCIKIT_LEARN", 0)
    batch = confused(2500)
    steps: list[int] = []
    settings = LinearProbeSettings(normalise="l2")
    source = SourceFaces(batch, faces(70, 2))
    train_head(LinearProbe(task(), settings), source, settings, seed=1, step=steps.append)
    assert 0.2 * len(batch) < sum(steps) <= len(batch)
    assert len(steps) > 20 and min(steps) >= 0
