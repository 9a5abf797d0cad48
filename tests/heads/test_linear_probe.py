"""Logistic regression, against scikit-learn."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import threadpoolctl
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

from fercache.contracts.feature_space import SEVEN, faces, task
from fercache.errors import UsageError
from fercache.heads import Batch
from fercache.heads.linear_probe import ABSENT, BALANCES, SCALINGS, STRENGTHS, LinearProbe, LinearProbeSettings
from fercache.scoring.selection import validation_rank
from fercache.training import SourceFaces, train_head


def fitted(train: Batch, validation: Batch | None = None, **settings: str) -> tuple[LinearProbe, dict[str, Any]]:
    """The best on source validation, and its row of the history."""
    chosen = LinearProbeSettings.model_validate(settings)
    head = LinearProbe(task(), chosen)
    found = train_head(head, SourceFaces(train, validation or faces(70, 2)), chosen, seed=1)
    return head, max(found.history, key=validation_rank)


def probabilities(head: LinearProbe, batch: Batch) -> np.ndarray:
    return head.logits(batch).softmax(1).numpy()


SCALERS = {"standardise": StandardScaler(), "l2": Normalizer(), "none": FunctionTransformer()}


@pytest.mark.parametrize("normalise", SCALERS)
def test_probabilities_are_those_of_scikit_learn(normalise: str) -> None:
    train, test = faces(210, 1), faces(35, 3)
    head, chosen = fitted(train, normalise=normalise)
    scaler = SCALERS[normalise].fit(train.features.numpy())
    scale = float(np.sqrt(np.mean(scaler.transform(train.features.numpy()) ** 2)))  # 1 where channels are standardised
    regression = LogisticRegression(C=chosen["C"] / scale**2, max_iter=5000, tol=1e-7)
    reference = make_pipeline(scaler, regression).fit(train.features.numpy(), train.labels.numpy())
    np.testing.assert_allclose(probabilities(head, test), reference.predict_proba(test.features.numpy()), atol=0.02)


def test_every_strength_scaling_and_balance_is_tried_and_the_best_taken() -> None:
    shown = ("happiness",) * 5 + ("fear",)
    train, validation = faces(120, 1, shown=shown), faces(140, 2, shown=shown)
    chosen = LinearProbeSettings()
    found = train_head(LinearProbe(task(), chosen), SourceFaces(train, validation), chosen, seed=1)
    tried = {(row["C"], row["normalise"], row["balance"]) for row in found.history}
    assert tried == set(itertools.product(STRENGTHS, SCALINGS, BALANCES)) and len(found.history) == len(tried)
    assert [row["C"] for row in found.history] == sorted(row["C"] for row in found.history)
    even = train_head(LinearProbe(task(), chosen), SourceFaces(faces(70, 1), faces(35, 2)), chosen, seed=1)
    assert {row["balance"] for row in even.history} == {"none"}, "with equal counts both ways to balance are one"


def test_balance_names_a_rare_expression_more_often() -> None:
    shown = ("happiness",) * 19 + ("fear",)
    train, test = faces(200, 1, shown=shown), faces(400, 3, shown=("happiness", "fear"))
    named = {}
    for balance in BALANCES:
        head = LinearProbe(task(), LinearProbeSettings.model_validate({"balance": balance, "normalise": "l2"}))
        next(head.candidates(train, 0))
        named[balance] = int((head.logits(test).argmax(1) == SEVEN.index("fear")).sum())
    assert named["weights"] > named["none"]


@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_unit_length_takes_no_notice_of_a_faces_norm(scale: float) -> None:
    train, test = faces(105, 1), faces(35, 3)
    head, _ = fitted(train, normalise="l2")
    brighter = replace(test, features=scale * test.features)
    torch.testing.assert_close(head.logits(brighter), head.logits(test), rtol=1e-4, atol=1e-4)


def test_a_run_without_a_choice_of_scaling_still_loads() -> None:
    head, _ = fitted(faces(105, 1), normalise="standardise")
    state = {name: tensor for name, tensor in head.state_dict().items() if name != "unit"}
    other = LinearProbe(task(), LinearProbeSettings())
    other.load_state_dict(state)
    assert torch.equal(other.logits(faces(7, 3)), head.logits(faces(7, 3)))


def test_soft_labels_count_a_face_once_per_expression() -> None:
    train = faces(105, 1)
    one_hot = torch.nn.functional.one_hot(train.labels, 7).float()
    hard, _ = fitted(train)
    same, _ = fitted(replace(train, distribution=one_hot))
    torch.testing.assert_close(same.weight, hard.weight, rtol=1e-3, atol=1e-4)
    undecided, _ = fitted(replace(train, distribution=0.02 * one_hot + 0.14))
    test = faces(70, 3)
    assert probabilities(undecided, test).max(1).mean() < probabilities(hard, test).max(1).mean()


@pytest.mark.parametrize("shown", [("fear", "anger"), ("fear", "anger", "neutral")])
def test_expressions_that_the_source_lacks_are_never_named(shown: tuple[str, ...]) -> None:
    head, _ = fitted(faces(60, 1, shown=shown), faces(30, 2, shown=shown))
    test = faces(70, 3, shown=shown)
    logits = head.logits(test)
    assert {SEVEN[k] for k in logits.argmax(1)} <= set(shown)
    assert float((logits.argmax(1) == test.labels).float().mean()) > 0.8
    assert torch.isfinite(logits).all() and logits[:, SEVEN.index("surprise")].eq(ABSENT).all()


def test_a_constant_channel_does_no_harm() -> None:
    train = faces(70, 1)
    train.features[:, 3] = 2.0
    head, _ = fitted(train, normalise="standardise")
    assert torch.isfinite(head.weight).all() and head.weight[:, 3].eq(0).all()


def test_a_single_expression_is_refused() -> None:
    with pytest.raises(UsageError, match="the same one"):
        fitted(faces(10, 1, shown=("fear",)))


def test_fitting_does_not_look_for_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds the loader's lock and waits for Python's, while a thread that imports a module does the opposite."""
    monkeypatch.setattr(threadpoolctl.ThreadpoolController, "_load_libraries", lambda *_: pytest.fail("it looks"))
    fitted(faces(70, 1))
