"""Multinomial logistic regressions on faces that are read in blocks, all of them at once: the loss and its gradient."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fercache.heads import Batch

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]
Index = NDArray[np.int64]
Report = Callable[[int], None]

FACES_AT_ONCE = 4096


class Regression(NamedTuple):
    """Its features' scaling, the weighting of expressions, and scikit-learn's C, as in `linear_probe`."""

    normalise: str
    balance: str
    strength: float


class Block(NamedTuple):
    """Some faces: `features` (B, D), their `shares` (K, B) of each expression, and `shrink` (B,), 1 / their length."""

    features: Singles
    shares: Singles
    shrink: Singles

    @classmethod
    def of(cls, part: Batch, present: Index) -> "Block":
        """K are the expressions that are `present` in the source."""
        features = part.features.float().cpu().numpy()
        labels = part.labels.cpu().numpy()
        if part.distribution is None:
            shares = (labels == present[:, None]).astype(np.float32)
        else:
            shares = np.ascontiguousarray(part.distribution.cpu().numpy().T[present], np.float32)
        return cls(features, shares, 1 / np.maximum(np.sqrt(np.einsum("bd,bd->b", features, features)), 1e-12))


def present_in(train: Batch) -> Index:
    """The expressions that occur in hard or soft labels."""
    if train.distribution is None:
        return np.unique(train.labels.cpu().numpy())
    return np.flatnonzero(train.distribution.sum(0).cpu().numpy())


@dataclass(frozen=True)
class Reading:
    """The blocks of `train`, as often as they are asked for."""

    train: Batch
    present: Index
    report: Report

    def __iter__(self) -> Iterator[Block]:
        for part in self.train.parts(FACES_AT_ONCE):
            yield Block.of(part, self.present)
            self.report(len(part))


@dataclass(frozen=True)
class Moments:
    """The channels' `mean` (D,) and `deviation` (D,), and `root`, of the mean of all squares.

    `sums` (2, K, D + 1) of features, and of directions, by expression; in the last channel, of ones.
    """

    mean: Doubles
    deviation: Doubles
    root: float
    sums: Doubles

    @classmethod
    def of(cls, blocks: Iterable[Block]) -> "Moments":
        """One pass."""
        count: int = 0
        first = second = sums = np.zeros(())
        for features, shares, shrink in blocks:
            count += len(features)
            first = first + features.sum(axis=0, dtype=np.float64)
            second = second + np.einsum("bd,bd->d", features, features, dtype=np.float64)
            mass = shares.sum(axis=1, dtype=np.float64)[:, None]
            sums = sums + np.stack([np.append(each @ features, mass, axis=1) for each in (shares, shares * shrink)])
        mean, square = first / count, second / count
        deviation, root = np.sqrt(np.maximum(square - mean**2, 0)), float(np.sqrt(square.mean()))
        return cls(mean, deviation, root, sums=sums)

    @property
    def mass(self) -> Doubles:
        """(K,) the number of faces of each expression."""
        return np.asarray(self.sums[0, :, -1])

    @property
    def total(self) -> float:
        """The number of labels."""
        return float(self.mass.sum())


@dataclass(frozen=True)
class Stack:
    """P regressions. Coefficients are (K, P, D + 1), for scaled features, the bias last.

    Features are divided by their length where `unit` (P,), centred by `centre` (P, D) and divided by `scale` (P, D);
    `balance` (P, K) are the weights of expressions; the penalty is `penalty` (P,) / 2 times the weights' squares.
    """

    scaling: NDArray[Any]
    unit: NDArray[np.bool_]
    centre: Doubles
    scale: Doubles
    balance: Singles
    penalty: Doubles

    @classmethod
    def of(cls, regressions: Sequence[Regression], moments: Moments) -> "Stack":
        """The penalty is 1 / (C N), because losses are means; of two expressions, scikit-learn penalises one."""
        channels, mass, total = len(moments.mean), moments.mass, moments.total
        per_channel = {
            "none": np.full(channels, moments.root),
            "l2": np.full(channels, channels**-0.5),
            "standardise": np.where(moments.deviation > 0, moments.deviation, 1),
        }
        balances = {"none": np.ones(len(mass)), "weights": total / (len(mass) * mass)}
        scaling = np.array([each.normalise for each in regressions])
        vectors = 2 if len(mass) == 2 else 1
        return cls(
            scaling,
            unit=scaling == "l2",
            centre=(scaling == "standardise")[:, None] * moments.mean,
            scale=np.stack([per_channel[each.normalise] for each in regressions]),
            balance=np.stack([balances[each.balance] for each in regressions]).astype(np.float32),
            penalty=np.array([vectors / (each.strength * total) for each in regressions]),
        )

    def take(self, index: Index) -> "Stack":
        """Some of the regressions."""
        return Stack(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def raw(self, coefficients: Doubles) -> Doubles:
        """The coefficients for features that are not scaled, except to unit length."""
        weight = coefficients[..., :-1] / self.scale
        bias = coefficients[..., -1] - (weight * self.centre).sum(axis=-1)
        return np.concatenate([weight, bias[..., None]], axis=-1)

    def scaled(self, gradient: Doubles) -> Doubles:
        """From the gradient with respect to `raw` coefficients, that with respect to coefficients."""
        weight, bias = gradient[..., :-1], gradient[..., -1:]
        return np.concatenate([(weight - bias * self.centre) / self.scale, bias], axis=-1)

    def shrunk(self, coefficients: Doubles) -> Doubles:
        """The gradient of the penalty."""
        gradient = self.penalty[:, None] * coefficients
        gradient[..., -1] = 0
        return gradient

    def label_sums(self, moments: Moments) -> Doubles:
        """The part of the gradient that does not depend on the coefficients."""
        sums = moments.sums[self.unit.astype(int)].swapaxes(0, 1) * self.balance.T[..., None]
        return self.scaled(sums) / moments.total

    def scores(self, raw: Doubles, block: Block) -> Singles:
        """(K, P, B) of the faces."""
        weight, bias = raw[..., :-1].astype(np.float32), raw[..., -1:].astype(np.float32)
        found: Singles = (weight.reshape(-1, weight.shape[-1]) @ block.features.T).reshape(*weight.shape[:2], -1)
        if self.unit.any():
            found[:, self.unit] *= block.shrink
        found += bias
        return found

    def gathered(self, errors: Singles, block: Block) -> Doubles:
        """(K, P, D + 1): the gradient for `errors` (K, P, B) of the scores, which are overwritten."""
        bias = errors.sum(axis=2)[..., None]
        if self.unit.any():
            errors[:, self.unit] *= block.shrink
        weight = (errors.reshape(-1, errors.shape[2]) @ block.features).reshape(*errors.shape[:2], -1)
        return np.concatenate([weight, bias], axis=2).astype(np.float64)

    def weights(self, block: Block) -> Singles:
        """(P, B) how much each face counts."""
        return self.balance @ block.shares


@dataclass(frozen=True)
class Objective:
    """The mean cross-entropy of each regression on the faces in `blocks`, plus its penalty."""

    stack: Stack
    blocks: Iterable[Block]
    label_sums: Doubles
    total: float

    def take(self, index: Index) -> "Objective":
        """Of some regressions."""
        return replace(self, stack=self.stack.take(index), label_sums=self.label_sums[:, index])

    def at(self, coefficients: Doubles) -> tuple[Doubles, Doubles]:
        """Values (P,) and gradients (K, P, D + 1). One pass."""
        raw, gradient = self.stack.raw(coefficients), np.zeros(coefficients.shape)
        loss = np.zeros(coefficients.shape[1])
        for block in self.blocks:
            chances, norm = softmax(self.stack.scores(raw, block))
            weights = self.stack.weights(block)
            loss += (norm * weights).sum(axis=1, dtype=np.float64)
            chances *= weights
            gradient += self.stack.gathered(chances, block)
        shrunk = self.stack.shrunk(coefficients)
        value = loss / self.total + dot(coefficients, shrunk / 2 - self.label_sums)
        return value, self.stack.scaled(gradient) / self.total - self.label_sums + shrunk


def softmax(scores: Singles) -> tuple[Singles, Singles]:
    """Of (K, P, B) over K, in their place, and the logarithm (P, B) of the divisor."""
    top = scores.max(axis=0)
    scores -= top
    np.exp(scores, out=scores)
    total = scores.sum(axis=0)
    scores /= total
    return scores, top + np.log(total)


def dot(one: Doubles, two: Doubles) -> Doubles:
    """(P,) products of coefficients (K, P, D + 1)."""
    return np.asarray(np.einsum("kpd,kpd->p", one, two))
