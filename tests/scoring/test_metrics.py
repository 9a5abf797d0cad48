"""Scores against scikit-learn's, and what they do where scikit-learn has nothing to say."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from fercache.expressions import EXPRESSIONS
from fercache.scoring import metrics

SEVEN = EXPRESSIONS[:7]


def random_faces(count: int, shown: Sequence[int], seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    truth = generator.choice(np.array(shown), size=count)
    logits = generator.normal(size=(count, 7)) + 1.5 * np.eye(7)[truth]
    return logits.astype(np.float32), truth


@given(st.integers(1, 60), st.sets(st.integers(0, 6), min_size=1), st.integers(0, 99))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_scores_are_those_of_scikit_learn(count: int, shown: set[int], seed: int) -> None:
    logits, truth = random_faces(count, sorted(shown), seed)
    scores = metrics.score(logits, truth, SEVEN, SEVEN)
    predicted, present = logits.argmax(1), np.unique(truth)
    recall = sklearn_metrics.recall_score(truth, predicted, labels=present, average=None, zero_division=0)
    f1 = sklearn_metrics.f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
    assert scores.n == count
    assert scores.accuracy == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))
    assert scores.mean_class_recall == pytest.approx(recall.mean())
    assert scores.macro_f1 == pytest.approx(f1)
    assert scores.confusion == sklearn_metrics.confusion_matrix(truth, predicted, labels=range(7)).tolist()
    assert [scores.recall[SEVEN[k]] for k in present] == pytest.approx(recall.tolist())
    assert {k for k in range(7) if scores.recall[SEVEN[k]] is None} == set(range(7)) - set(present.tolist())
    assert [scores.support[name] for name in SEVEN] == np.bincount(truth, minlength=7).tolist()


def test_logits_of_expressions_unknown_to_the_target_are_masked() -> None:
    logits = np.array([[9.0, 1.0, 2.0], [9.0, 2.0, 1.0]])
    known = ("fear", "disgust")
    assert metrics.predict(logits, SEVEN[:3], known).tolist() == [2, 1]
    scores = metrics.score(logits, np.array([2, 1]), SEVEN[:3], known)
    assert scores.accuracy == 1
    assert scores.recall == {"surprise": None, "fear": 1.0, "disgust": 1.0}
    assert metrics.score(logits, np.array([2, 1]), SEVEN[:3], SEVEN).accuracy == 0


def test_the_target_may_know_more_than_the_head() -> None:
    assert metrics.predict(np.array([[0.0, 1.0]]), SEVEN[:2], EXPRESSIONS).tolist() == [1]


def test_permuting_the_expressions_permutes_the_scores() -> None:
    logits, truth = random_faces(200, range(7), 0)
    order = np.random.default_rng(1).permutation(7)
    names = [SEVEN[k] for k in order]
    one = metrics.score(logits, truth, SEVEN, SEVEN)
    two = metrics.score(logits[:, order], order.argsort()[truth], names, SEVEN)
    assert (one.accuracy, one.recall, one.support) == (two.accuracy, two.recall, two.support)
    assert one.mean_class_recall == pytest.approx(two.mean_class_recall)
    assert np.array(one.confusion)[np.ix_(order, order)].tolist() == two.confusion


def test_metrics_of_many_confusions_are_those_of_each() -> None:
    confusions = np.random.default_rng(0).integers(0, 5, size=(4, 6, 3, 3))
    confusions[0, 0, 1] = 0  # a class without faces
    for metric in (metrics.accuracy, metrics.mean_class_recall, metrics.macro_f1):
        values = metric(confusions)
        assert values.shape == (4, 6)
        assert values[0, 0] == metric(confusions[0, 0])
        assert values[3, 5] == metric(confusions[3, 5])


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(ValueError, match="no face"):
        metrics.score(np.zeros((0, 7)), np.zeros(0, dtype=np.int64), SEVEN, SEVEN)
    with pytest.raises(ValueError, match="fear, which is not among surprise"):
        metrics.score(np.zeros((1, 7)), np.array([1]), SEVEN, ("surprise",))
    with pytest.raises(ValueError, match="None of surprise, fear is among contempt"):
        metrics.predict(np.zeros((1, 2)), SEVEN[:2], ("contempt",))


CONFUSIONS = st.integers(0, 999).map(lambda seed: np.random.default_rng(seed).integers(0, 9, size=(4, 4)))


@given(CONFUSIONS, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_adjusted_accuracy_is_accuracy_on_faces_that_come_in_that_mix(
    confusion: NDArray[np.int64], mix: list[float]
) -> None:
    support = confusion.sum(axis=1)
    shown = [k for k in range(4) if support[k]]
    total = sum(mix[k] for k in shown)
    found = metrics.adjusted_accuracy(confusion, np.array(mix))
    if total == 0:
        assert found is None
        return
    assert found == pytest.approx(sum(mix[k] / total * confusion[k, k] / support[k] for k in shown))
    assert 0 <= found <= 1 + 1e-9
    assert metrics.adjusted_accuracy(confusion, 3 * np.array(mix)) == pytest.approx(found)


@given(CONFUSIONS.filter(lambda confusion: confusion.any()))
def test_adjusted_accuracy_of_equal_shares_is_mean_class_recall_and_of_its_own_mix_accuracy(
    confusion: NDArray[np.int64],
) -> None:
    assert metrics.adjusted_accuracy(confusion, np.full(4, 0.25)) == pytest.approx(
        float(metrics.mean_class_recall(confusion))
    )
    own = confusion.sum(axis=1) / confusion.sum()
    assert metrics.adjusted_accuracy(confusion, own) == pytest.approx(float(metrics.accuracy(confusion)))
