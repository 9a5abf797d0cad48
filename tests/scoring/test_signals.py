"""Signals without labels: against definitions written out, and what they must not depend on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fercache.scoring import signals
from fercache.scoring.signals import Clusters, Validated

CLASSES = 4


def answered(faces: int = 300, seed: int = 0) -> tuple[NDArray, NDArray]:
    """Probabilities (N, L), and features (N, D) in which the expressions are clusters."""
    generator = np.random.default_rng(seed)
    expression = np.arange(faces) % CLASSES
    features = generator.normal(size=(faces, 12)) + 4 * np.eye(CLASSES, 12)[expression]
    logits = features[:, :CLASSES] + generator.normal(size=(faces, CLASSES))
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True), features


def test_equal_confidence_means_equal_accuracy() -> None:
    shares, _ = answered()
    source = Validated(shares.max(axis=1), accuracy=0.9)
    assert signals.difference_of_confidences(shares.max(axis=1), source) == pytest.approx(0.9)
    assert signals.thresholded_confidence(shares.max(axis=1), source) == pytest.approx(0.9, abs=0.01)


def test_lost_confidence_is_lost_accuracy() -> None:
    source = Validated(np.array([0.9, 0.8, 0.7, 0.6]), accuracy=0.75)
    confidence = np.array([0.65, 0.75, 0.5, 0.5])
    assert signals.difference_of_confidences(confidence, source) == pytest.approx(0.75 - (0.75 - 0.6))
    assert signals.thresholded_confidence(confidence, source) == 0.25  # above 0.675, as three of four are in the source


def test_agreement_is_the_mean_over_the_others() -> None:
    one, two, three = np.array([0, 1, 2, 3]), np.array([0, 1, 2, 0]), np.array([0, 0, 0, 0])
    assert signals.agreement(one, [two, three]) == pytest.approx((0.75 + 0.25) / 2)
    assert np.isnan(signals.agreement(one, []))


def test_dispersity_and_spread_are_one_for_certain_balanced_answers_and_small_for_a_single_one() -> None:
    certain = np.eye(CLASSES)[np.arange(200) % CLASSES]
    assert signals.dispersity(certain) == pytest.approx(1)
    assert signals.spread(certain.argmax(axis=1), CLASSES) == pytest.approx(1)
    collapsed = np.tile(certain[0], (200, 1))
    assert signals.dispersity(collapsed) == pytest.approx(CLASSES**-0.5)
    assert signals.spread(collapsed.argmax(axis=1), CLASSES) == 0


def test_dispersity_is_the_nuclear_norm() -> None:
    shares, _ = answered()
    norm = np.linalg.svd(shares, compute_uv=False).sum()
    assert signals.dispersity(shares) == pytest.approx(norm / np.sqrt(shares.size))


def test_the_expected_recall_is_that_of_calibrated_heads() -> None:
    """Labels drawn from the probabilities."""
    shares, _ = answered(faces=40_000)
    generator = np.random.default_rng(1)
    truth = (shares.cumsum(axis=1) < generator.random(len(shares))[:, None]).sum(axis=1)
    recalls = [(shares.argmax(axis=1) == k)[truth == k].mean() for k in range(CLASSES)]
    assert signals.expected_recall(shares) == pytest.approx(np.mean(recalls), abs=0.01)


def plain_self_training(features: NDArray, answers: NDArray) -> NDArray:
    """The same discriminant with a covariance that is inverted as it is."""
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    current = answers
    for _ in range(signals.ROUNDS):
        means = np.stack([units[current == k].mean(axis=0) for k in range(CLASSES)])
        apart = units - means[current]
        within = apart.T @ apart / len(units)
        kept = (1 - signals.SHRINKAGE) * within
        shrunk = kept + signals.SHRINKAGE * np.trace(within) / len(within) * np.eye(len(within))
        weights = np.linalg.solve(shrunk, means.T)
        current = (units @ weights - np.einsum("kd,dk->k", means, weights) / 2).argmax(axis=1)
    return current


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_self_training_is_that_of_a_plain_discriminant(seed: int) -> None:
    shares, features = answered(seed=seed)
    answers = shares.argmax(axis=1)
    expected = (plain_self_training(features, answers) == answers).mean()
    assert Clusters(features).steadiness(answers, CLASSES) == pytest.approx(expected)


def test_random_answers_are_not_steady() -> None:
    shares, features = answered()
    clusters = Clusters(features)
    random = np.random.default_rng(3).integers(0, CLASSES, len(features))
    assert clusters.steadiness(shares.argmax(axis=1), CLASSES) > 0.85
    assert clusters.steadiness(random, CLASSES) < 0.7


def test_expressions_that_are_never_answered_stay_so() -> None:
    shares, features = answered()
    answers = np.where(shares.argmax(axis=1) == 3, 0, shares.argmax(axis=1))
    assert 0 < Clusters(features).steadiness(answers, CLASSES) <= 1
    assert Clusters(features).steadiness(np.zeros_like(answers), CLASSES) == 1
