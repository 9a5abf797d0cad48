"""Gaussian discriminant analysis (Wang et al., ICLR 2024, arXiv 2402.04087): class means and one shared covariance."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from fercache.heads import Batch, FittedHead, HeadSettings, Task
from fercache.heads.linear_probe import LIBRARIES
from fercache.trunks import Faces

Floats = NDArray[np.float64]

SHRINKAGES = (1.0, 0.9, 0.7, 0.5, 0.3, 0.1, 0.03, 0.01)
"""Possible shares of the identity in the covariance, the most first."""

ABSENT = -1e6
"""The logit of an expression without source faces."""

FACES_AT_ONCE = 8192


class GdaSettings(HeadSettings):
    """`shrinkage` fixes the share of the identity; by default each of SHRINKAGES is a candidate.

    `prior`: expressions are equally likely, or as frequent as in the source. `strength`: expressions on the target are
    so many times as strong as on the source, that is, as far from the mean of all; the paper's value is 1.
    """

    shrinkage: float | None = Field(None, gt=0, le=1)
    prior: Literal["flat", "source"] = "flat"
    strength: float = Field(1.0, ge=0, le=1)


class Gda(FittedHead):
    """u'P(m_k - m) - r (m_k - m)'P(m_k - m) / 2 + log prior of k, for the direction u of a face's feature.

    m_k is the mean of expression k, m the mean of the m_k, r the `strength`, and P the inverse of
    (1 - a) S + a tr(S)/D I, with the pooled covariance S within expressions and the shrinkage a. With r = 1 these are
    the log-posteriors of Gaussians up to a constant of the face. Faces are weighted by soft labels and class weights.
    """

    Settings = GdaSettings
    seeded = False

    weight: Tensor
    bias: Tensor

    def __init__(self, task: Task, settings: GdaSettings) -> None:
        super().__init__(task, settings)
        self.settings = settings
        self.register_buffer("weight", torch.zeros(len(task.expressions), task.dimension))
        self.register_buffer("bias", torch.zeros(len(task.expressions)))

    def logits(self, faces: Faces) -> Tensor:
        """(B, L)."""
        return F.normalize(faces.features, dim=1) @ self.weight.T + self.bias

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        """Fits with each shrinkage, in decreasing order. Nothing is random: `seed` is not used."""
        moments = Moments.of(train, len(self.bias))
        axes = Axes.of(moments.within)
        given = self.settings.shrinkage
        for shrinkage in SHRINKAGES if given is None else (given,):
            weight, bias = moments.discriminant(axes, shrinkage, self.settings.strength)
            if self.settings.prior == "source":
                bias = bias + np.log(np.maximum(moments.mass, 1e-12))
            self.weight.copy_(torch.from_numpy(weight))
            self.bias.copy_(torch.from_numpy(np.where(moments.present, bias, ABSENT)))
            yield {"shrinkage": shrinkage}


@dataclass(frozen=True)
class Moments:
    """Moments of the faces' directions by expression.

    `mass` (L,) is the weight of each expression's faces, `means` (L, D) their means, `within` (D, D) the pooled
    covariance within expressions.
    """

    mass: Floats
    means: Floats
    within: Floats

    @classmethod
    def of(cls, train: Batch, expressions: int) -> "Moments":
        """One pass over the faces, in float64."""
        dimension = train.features.shape[1]
        mass, sums, squares = (np.zeros(shape) for shape in (expressions, (expressions, dimension), (dimension,) * 2))
        for part in train.parts(FACES_AT_ONCE):
            directions, shares = unit(part.features), shares_of(part, expressions)
            mass += shares.sum(axis=0)
            with LIBRARIES.limit(limits=1, user_api="blas"):  # more threads would round differently
                sums += shares.T @ directions
                squares += (directions * shares.sum(axis=1)[:, None]).T @ directions
        means = sums / np.maximum(mass, 1e-12)[:, None]
        with LIBRARIES.limit(limits=1, user_api="blas"):
            within = (squares - (means * mass[:, None]).T @ means) / mass.sum()
        return cls(mass, means, within)

    @property
    def centre(self) -> Floats:
        """(D,) the mean of the expressions' means."""
        return np.asarray(self.means[self.present].mean(axis=0))

    @property
    def present(self) -> NDArray[np.bool_]:
        """(L,) whether an expression has faces."""
        return self.mass > 0

    def discriminant(self, axes: "Axes", shrinkage: float, strength: float) -> tuple[Floats, Floats]:
        """(L, D) weights and (L,) biases of `Gda`, for directions; zeros for an expression without faces."""
        offsets = np.where(self.present[:, None], self.means - self.centre, 0)
        with LIBRARIES.limit(limits=1, user_api="blas"):
            weight = axes.solve(offsets, shrinkage)
            bias = -weight @ self.centre - strength / 2 * (offsets * weight).sum(axis=1)
        return weight, bias

    def deviation(self, weight: Floats, bias: Floats) -> float:
        """The deviation of all the faces' logits, of expressions that have faces."""
        weight, bias, share = weight[self.present], bias[self.present], self.mass / self.mass.sum()
        mean = share @ self.means
        offsets = self.means - mean
        with LIBRARIES.limit(limits=1, user_api="blas"):
            total = self.within + (offsets * share[:, None]).T @ offsets
            variances = ((weight @ total) * weight).sum(axis=1)
        return float(np.sqrt(max(variances.mean() + np.var(weight @ mean + bias), 1e-12)))


@dataclass(frozen=True)
class Axes:
    """Eigenvalues (D,) and eigenvectors (D, D) of a covariance: every shrinkage is then a division."""

    values: Floats
    vectors: Floats

    @classmethod
    def of(cls, covariance: Floats) -> "Axes":
        """Of a symmetric matrix without negative eigenvalues, except for rounding."""
        with LIBRARIES.limit(limits=1, user_api="blas"):
            values, vectors = np.linalg.eigh(covariance)
        return cls(np.maximum(values, 0), vectors)

    def solve(self, rows: Floats, shrinkage: float) -> Floats:
        """Each of the `rows` (R, D) times the inverse of the covariance shrunk towards a multiple of the identity."""
        floor = max(float(self.values.mean()), 1e-12)
        return np.asarray((rows @ self.vectors / ((1 - shrinkage) * self.values + shrinkage * floor)) @ self.vectors.T)


def unit(features: Tensor) -> Floats:
    """Directions (B, D) of features."""
    return np.asarray(F.normalize(features.double(), dim=1).cpu().numpy())


def shares_of(faces: Batch, expressions: int) -> NDArray[Any]:
    """(B, L) how much each face counts for each expression: its label or soft label, times the class weights."""
    shown = F.one_hot(faces.labels, expressions) if faces.distribution is None else faces.distribution
    weighted = shown if faces.class_weights is None else shown * faces.class_weights
    return np.asarray(weighted.double().cpu().numpy())


plugin = Gda
