"""Logistic regression on the face feature."""

import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import ThreadpoolController
from torch import Tensor

from fercache.errors import UsageError
from fercache.heads import Batch, FittedHead, HeadSettings, Task
from fercache.heads._logistic import Regression
from fercache.heads._newton import fit
from fercache.trunks import Faces

Floats = NDArray[np.floating[Any]]

STRENGTHS = tuple(10.0 ** (power / 2) for power in range(-8, 1))
"""The possible values of scikit-learn's C, half a power apart: 1e-4 to 1."""

SCALINGS = ("l2", "none", "standardise")
BALANCES = ("weights", "none")

LIBRARIES = ThreadpoolController()
"""Made once, when no other thread runs: looking for libraries while one imports a module can deadlock."""

MOST_FOR_SCIKIT_LEARN = 100_000
"""Faces; of more, its copies would need too much memory, and one fit after another too much time."""

Pair = tuple[str, str]
"""`normalise` and `balance`."""

Fits = Iterator[tuple[Floats, Floats]]
"""For each C, (L, D) weights and (L,) biases: for raw features, or for unit ones with `l2`."""

ABSENT = -1e4
"""The logit of an expression without source faces."""


class LinearProbeSettings(HeadSettings):
    """`normalise`: each face to the same length, each channel to the same deviation, or neither; `balance`: whether
    expressions count equally, whatever their number of faces. `auto` makes a candidate of each.
    """

    normalise: Literal["auto", "none", "l2", "standardise"] = "auto"
    balance: Literal["auto", "none", "weights"] = "auto"


class LinearProbe(FittedHead):
    """Multinomial logistic regression; every combination of C, `normalise` and `balance` is a candidate.

    Normalised features always have a mean square of 1 over channels, so that C regularises equally. Logits are `weight`
    (L, D) times the feature, scaled to unit length if `unit` is set, plus `bias` (L,).

    Up to MOST_FOR_SCIKIT_LEARN faces, scikit-learn fits one candidate after another. Of more, features are read a few
    thousand at a time, and `_newton` fits all candidates in the same passes, to the same minimum.
    """

    Settings = LinearProbeSettings
    seeded = False

    weight: Tensor
    bias: Tensor
    unit: Tensor

    def __init__(self, task: Task, settings: LinearProbeSettings) -> None:
        super().__init__(task, settings)
        self.normalise = SCALINGS if settings.normalise == "auto" else (settings.normalise,)
        self.balance = BALANCES if settings.balance == "auto" else (settings.balance,)
        self.register_buffer("weight", torch.zeros(len(task.expressions), task.dimension))
        self.register_buffer("bias", torch.zeros(len(task.expressions)))
        self.register_buffer("unit", torch.tensor(False))

    def logits(self, faces: Faces) -> Tensor:
        """(B, L)."""
        features = torch.nn.functional.normalize(faces.features, dim=1) if self.unit else faces.features
        return features @ self.weight.T + self.bias

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        """Fits with each C, in increasing order. The solver is not random: `seed` is not used.

        Raises UsageError if all faces have the same expression.
        """
        labelled = Labelled.of(train)
        if len(labelled.mass) < 2:
            raise UsageError("linear-probe needs several expressions, but all training faces have the same one.")
        # With equally many faces of each expression, both ways to balance are the same.
        balances = self.balance[-1:] if np.ptp(labelled.mass) <= 1 else self.balance
        pairs = list(itertools.product(self.normalise, balances))
        small = len(train) <= MOST_FOR_SCIKIT_LEARN
        paths = self._one_by_one(train, labelled, pairs) if small else self._in_passes(train, pairs)
        for strength in STRENGTHS:
            for (normalise, balance), path in paths.items():
                weight, bias = next(path)
                self._fill(weight, bias, normalise == "l2")
                yield {"C": strength, "normalise": normalise, "balance": balance}

    def _one_by_one(self, train: Batch, labelled: "Labelled", pairs: Sequence[Pair]) -> dict[Pair, Fits]:
        whole = train if train.in_memory else train.rows(torch.arange(len(train)))
        features, expressions = whole.features.cpu().numpy(), len(self.task.expressions)
        return {
            (normalise, balance): _regressions(features, labelled, normalise, balance=balance, expressions=expressions)
            for normalise, balance in pairs
        }

    def _in_passes(self, train: Batch, pairs: Sequence[Pair]) -> dict[Pair, Fits]:
        regressions = [Regression(*pair, strength) for strength in STRENGTHS for pair in pairs]
        with LIBRARIES.limit(limits=1, user_api="blas"):  # more threads would round differently
            present, weights, biases = fit(train, regressions, self.watch)
        found = zip(weights, biases, strict=True)
        fits = [_spread(*each, present, expressions=len(self.task.expressions)) for each in found]
        return {pair: iter(fits[place :: len(pairs)]) for place, pair in enumerate(pairs)}

    def _fill(self, weight: Floats, bias: Floats, unit: bool) -> None:
        self.weight.copy_(torch.from_numpy(weight))
        self.bias.copy_(torch.from_numpy(bias))
        self.unit.fill_(unit)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Runs of earlier versions hold no `unit`."""
        state_dict.setdefault(f"{prefix}unit", torch.tensor(False))
        super()._load_from_state_dict(state_dict, prefix, *rest)


@dataclass(frozen=True)
class Labelled:
    """Rows, labels and weights for soft labels: a face occurs once per expression with a positive share."""

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    weights: Floats

    @classmethod
    def of(cls, batch: Batch) -> "Labelled":
        """Each face once, with weight 1, if labels are not soft."""
        labels = batch.labels.cpu().numpy()
        if batch.distribution is None:
            return cls(np.arange(len(labels)), labels, np.ones(len(labels)))
        distribution = batch.distribution.cpu().numpy()
        rows, shown = np.nonzero(distribution)
        return cls(rows, shown, distribution[rows, shown].astype(np.float64))

    @property
    def mass(self) -> Floats:
        """The number of faces of each expression that occurs."""
        return np.asarray(np.bincount(self.labels, self.weights)[np.unique(self.labels)], dtype=np.float64)

    @property
    def balanced(self) -> Floats:
        """Weights (R,) with which expressions count equally, with mean 1."""
        mass = np.bincount(self.labels, self.weights)
        return np.asarray(self.weights * mass.sum() / (np.count_nonzero(mass) * mass[self.labels]))


def _regressions(features: Floats, labelled: Labelled, normalise: str, balance: str, expressions: int) -> Fits:
    """By scikit-learn."""
    if normalise == "l2":
        features = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    centre, scale = features.dtype.type(0), np.sqrt(np.mean(features**2))  # in the features' own precision
    if normalise == "standardise":
        centre, deviation = features.mean(axis=0), features.std(axis=0)
        scale = np.where(deviation > 0, deviation, 1)
    scaled = ((features - centre) / scale)[labelled.rows]
    weights = labelled.balanced if balance == "weights" else labelled.weights
    regression = LogisticRegression(max_iter=300, warm_start=True)
    for strength in STRENGTHS:
        regression.set_params(C=strength)
        # One thread: runs are trained in parallel, and their threads would compete.
        with warnings.catch_warnings(), LIBRARIES.limit(limits=1, user_api="blas"):
            # A fit that runs out of iterations is a case of early stopping, judged by validation like any other.
            warnings.simplefilter("ignore", ConvergenceWarning)
            regression.fit(scaled, labelled.labels, sample_weight=weights)
        weight, bias = _per_expression(regression, expressions)
        weight = weight / scale
        yield weight, bias - (weight * centre).sum(axis=1)


def _per_expression(regression: LogisticRegression, expressions: int) -> tuple[Floats, Floats]:
    """(L, D) weights and (L,) biases; scikit-learn leaves out the first of two classes."""
    coefficients, intercepts = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    return _spread(coefficients, intercepts, regression.classes_, expressions=expressions)


def _spread(weight: Floats, bias: Floats, present: NDArray[np.int64], expressions: int) -> tuple[Floats, Floats]:
    """(L, D) weights and (L,) biases of all expressions, for those of the ones that are present."""
    weights, biases = np.zeros((expressions, weight.shape[1])), np.full(expressions, ABSENT)
    weights[present] = weight
    biases[present] = bias
    return weights, biases


plugin = LinearProbe
