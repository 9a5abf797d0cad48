"""Logistic regression, against scikit-learn on standardised channels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fercache.errors import UsageError
from fercache.heads import Batch, HeadSettings
from fercache.heads.linear_probe import ABSENT, STRENGTHS, LinearProbe
from tests.feature_space import SEVEN, faces, task


def fitted(train: Batch, validation: Batch | None = None) -> tuple[LinearProbe, float]:
    head = LinearProbe(task(), HeadSettings())
    return head, head.fit(train, validation or faces(70, 2), seed=1)["C"]


def probabilities(head: LinearProbe, batch: Batch) -> np.ndarray:
    return head.logits(batch).softmax(1).numpy()


def test_probabilities_are_those_of_scikit_learn() -> None:
    train, test = faces(210, 1), faces(35, 3)
    head, strength = fitted(train)
    reference = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000, tol=1e-6))
    reference.fit(train.features.numpy(), train.labels.numpy())
    np.testing.assert_allclose(probabilities(head, test), reference.predict_proba(test.features.numpy()), atol=0.02)


def test_the_strength_is_the_best_on_validation() -> None:
    train, validation = faces(70, 1), faces(140, 2)
    head, strength = fitted(train, validation)
    right = (head.logits(validation).argmax(1) == validation.labels).float().mean()
    assert strength in STRENGTHS
    scaler = StandardScaler().fit(train.features.numpy())
    for other in (STRENGTHS[0], 1.0):
        model = LogisticRegression(C=other, max_iter=500).fit(scaler.transform(train.features), train.labels)
        assert right >= model.score(scaler.transform(validation.features), validation.labels) - 1e-6


def test_strengths_too_small_to_tell_anything_do_not_end_the_search() -> None:
    shown = ("happiness",) * 19 + ("fear",)
    train, validation = faces(40, 1, shown=shown), faces(200, 2, shown=shown)
    head, strength = fitted(train, validation)
    named = head.logits(validation).argmax(1)
    assert strength > STRENGTHS[3]
    assert (named == SEVEN.index("fear")).any()


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
    head, _ = fitted(train)
    assert torch.isfinite(head.weight).all() and head.weight[:, 3].eq(0).all()


def test_a_single_expression_is_refused() -> None:
    with pytest.raises(UsageError, match="the same one"):
        fitted(faces(10, 1, shown=("fear",)))
