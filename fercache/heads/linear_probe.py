"""Logistic regression on the face feature."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from fercache.errors import UsageError
from fercache.heads import Batch, FittedHead, HeadSettings, Task
from fercache.trunks import Faces

Floats = NDArray[np.floating[Any]]

STRENGTHS = tuple(10.0 ** (power / 2) for power in range(-10, 5))
"""The values of scikit-learn's C that may be tried, for standardised channels: 1e-5 to 100, half a power apart."""

PATIENCE = 3
"""Values of C in a row, worse than the best before, after which no greater ones are tried."""

ABSENT = -1e4
"""The logit of an expression that the source has no face of."""


class LinearProbe(FittedHead):
    """Multinomial logistic regression, with the C of highest accuracy on source validation, the smallest among equals.

    Channels are standardised for the regression, so that one range of C serves every encoder, and the standardisation
    is folded into the stored `weight` (L, D) and `bias` (L,): the logits are linear in the raw feature.
    """

    Settings = HeadSettings
    seeded = False

    weight: Tensor
    bias: Tensor

    def __init__(self, task: Task, settings: HeadSettings) -> None:
        super().__init__(task, settings)
        self.register_buffer("weight", torch.zeros(len(task.expressions), task.dimension))
        self.register_buffer("bias", torch.zeros(len(task.expressions)))

    def logits(self, faces: Faces) -> Tensor:
        """(B, L)."""
        return faces.features @ self.weight.T + self.bias

    def fit(self, train: Batch, validation: Batch, seed: int) -> dict[str, float]:
        """Fits with each C, from the smallest on; returns the C chosen. The solver draws nothing: `seed` is not used.

        Raises UsageError when all faces have the same expression.
        """
        features, truth = validation.features.cpu().numpy(), validation.labels.cpu().numpy()
        best, chosen, waited = -1.0, STRENGTHS[0], 0
        for strength, weight, bias in _regressions(train, len(self.task.expressions)):
            accuracy = float(((features @ weight.T + bias).argmax(axis=1) == truth).mean())
            if accuracy > best:
                best, chosen = accuracy, strength
                self.weight.copy_(torch.from_numpy(weight))
                self.bias.copy_(torch.from_numpy(bias))
            # Equal ones do not count: the smallest may all name nothing but the commonest expression.
            waited = waited + 1 if accuracy < best else 0
            if waited == PATIENCE:
                break
        return {"C": chosen}


def _regressions(train: Batch, expressions: int) -> Iterator[tuple[float, Floats, Floats]]:
    """For each C: the (L, D) weights and (L,) biases of the regression on `train`, for raw features."""
    rows, labels, weights = _labelled_rows(train)
    if len(np.unique(labels)) < 2:
        raise UsageError("linear-probe tells expressions apart, but all faces to train on have the same one.")
    features = train.features.cpu().numpy()
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1)
    standardised = ((features - mean) / scale)[rows]
    regression = LogisticRegression(max_iter=300, warm_start=True)
    for strength in STRENGTHS:
        regression.set_params(C=strength)
        with warnings.catch_warnings():
            # A fit that runs out of iterations is one stopped early, which validation judges like any other.
            warnings.simplefilter("ignore", ConvergenceWarning)
            regression.fit(standardised, labels, sample_weight=weights)
        weight, bias = _per_expression(regression, expressions)
        weight = weight / scale
        yield strength, weight, bias - weight @ mean


def _labelled_rows(batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats | None]:
    """Rows, labels and weights that spell out soft labels: a face counts once per expression it may show."""
    if batch.distribution is None:
        return np.arange(len(batch.labels)), batch.labels.cpu().numpy(), None
    distribution = batch.distribution.cpu().numpy()
    rows, labels = np.nonzero(distribution)
    return rows, labels, distribution[rows, labels]


def _per_expression(regression: LogisticRegression, expressions: int) -> tuple[Floats, Floats]:
    """(L, D) weights and (L,) biases; scikit-learn leaves out absent classes, and the first of two."""
    coefficients, intercepts = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weight = np.zeros((expressions, coefficients.shape[1]))
    bias = np.full(expressions, ABSENT)
    weight[regression.classes_] = coefficients
    bias[regression.classes_] = intercepts
    return weight, bias


plugin = LinearProbe
