"""What a head's answers on faces reveal about their accuracy without any label.

Each function returns one number per run and set of faces. None is an accuracy; `scoring.estimates` learns from domains
with labels how they go together with accuracy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

SHRINKAGE = 0.7
"""Share of the shared covariance of `Clusters` that is the same for every direction."""
ROUNDS = 5
"""Rounds of self-training."""


@dataclass(frozen=True)
class Validated:
    """A head on its source validation: each face's confidence (N,), and the accuracy there."""

    confidence: NDArray[np.float64]
    accuracy: float


def difference_of_confidences(confidence: NDArray[np.float64], source: Validated) -> float:
    """Accuracy on source validation, minus the loss of mean confidence (Guillory et al. 2021)."""
    return float(source.accuracy + confidence.mean() - source.confidence.mean())


def thresholded_confidence(confidence: NDArray[np.float64], source: Validated) -> float:
    """The share of faces above the confidence that a share of source validation equal to its accuracy exceeds.

    Average thresholded confidence (Garg et al. 2022, eq. 1 and 2, with the highest probability as the score).
    """
    threshold = np.quantile(source.confidence, 1 - source.accuracy)
    return float((confidence > threshold).mean())


def agreement(answers: NDArray[np.integer[Any]], others: Sequence[NDArray[np.integer[Any]]]) -> float:
    """The mean share of faces that other models answer alike (Jiang et al. 2022); NaN without others."""
    return float(np.mean([(answers == each).mean() for each in others])) if others else float("nan")


def dispersity(probabilities: NDArray[np.float64]) -> float:
    """The nuclear norm of (N, L) probabilities, divided by its bound, (N L)^(1/2) (Deng et al. 2023).

    1 if all answers are certain and all expressions are equally frequent.
    """
    faces, expressions = probabilities.shape
    # The singular values from the (L, L) product, which does not depend on the number of faces.
    squares = np.linalg.eigvalsh(probabilities.T @ probabilities)
    return float(np.sqrt(np.maximum(squares, 0)).sum() / np.sqrt(faces * expressions))


def spread(answers: NDArray[np.integer[Any]], expressions: int) -> float:
    """The entropy of the answered expressions, divided by its bound: 1 if all are equally frequent."""
    share = np.bincount(answers, minlength=expressions) / len(answers)
    return float(-(share[share > 0] * np.log(share[share > 0])).sum() / np.log(expressions))


def expected_recall(probabilities: NDArray[np.float64]) -> float:
    """The mean class recall that (N, L) probabilities promise, if they are true.

    Of the faces that show an expression, each counted by its probability, the share that is answered with it.
    """
    answered = np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)]
    shown = np.maximum(probabilities.sum(axis=0), np.finfo(float).tiny)
    return float(((answered * probabilities).sum(axis=0) / shown).mean())


class Clusters:
    """The features (N, D) of a target, for self-training from the answers of any number of heads."""

    def __init__(self, features: NDArray[Any]) -> None:
        raw = features.astype(np.float64)
        self._features = raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), np.finfo(float).tiny)

    @cached_property
    def _rotated(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The eigenvalues (D,) of the features' second moments, and the features (N, D) in their directions."""
        with threadpool_limits(1):  # the bits of sums depend on the number of threads
            values, directions = np.linalg.eigh(self._features.T @ self._features)
            return np.maximum(values, 0), self._features @ directions

    def steadiness(self, answers: NDArray[np.integer[Any]], expressions: int) -> float:
        """The share of faces that keep their expression under self-training.

        Self-training: a Gaussian discriminant with shared, shrunk covariance and flat prior is fitted to the answers
        (N,), then to its own answers, ROUNDS times. Where a head's answers follow the structure of the target's
        features, little changes. NaN without faces.
        """
        if not len(answers):
            return float("nan")
        current = answers
        with threadpool_limits(1):
            for _ in range(ROUNDS):
                current = self._discriminant(current, expressions).argmax(axis=1)
        return float((current == answers).mean())

    def _discriminant(self, answers: NDArray[np.integer[Any]], expressions: int) -> NDArray[np.float64]:
        """(N, L) scores; -inf for expressions without an answer.

        The covariance is that of all features minus a product of the class means (L, D): by the Woodbury identity, its
        inverse needs a system of L equations.
        """
        values, features = self._rotated
        faces, directions = features.shape
        shown = np.eye(expressions)[answers]
        counts = shown.sum(axis=0)
        there = counts > 0
        counts = counts[there]
        means = (shown.T @ features)[there] / counts[:, None]
        within = max(values.sum() - (counts * (means**2).sum(axis=1)).sum(), 0) / faces
        kept = (1 - SHRINKAGE) / faces
        diagonal = kept * values + SHRINKAGE * within / directions + np.finfo(float).eps
        scaled = means / diagonal
        inner = scaled @ means.T
        solved = scaled + inner @ np.linalg.solve(np.diag(1 / (kept * counts)) - inner, scaled)
        scores = np.full((faces, expressions), -np.inf)
        scores[:, there] = features @ solved.T - (means * solved).sum(axis=1) / 2
        return scores
