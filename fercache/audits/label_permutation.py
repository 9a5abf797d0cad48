"""Whether two sets call the same expression by the same name.

Each expression's mean feature is compared with each of the other set's; the assignment of names that fits best should
be the identity. Where another one fits better, and still does when the faces are drawn again, labels are swapped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from fercache.identity import seed_from

RESAMPLES = 200
SURE = 0.95
"""Share of the resamples that must agree on a permutation before it is reported."""
FEWEST_FACES = 5
FEWEST_EXPRESSIONS = 3


@dataclass(frozen=True)
class Verdict:
    """How the right set's names read in the left set's words, for the expressions that both have.

    `margin` is by how much the best assignment's mean cosine beats the identity's; `sure` the share of resamples that
    give the same assignment.
    """

    assignment: Mapping[str, str]
    margin: float
    sure: float

    @property
    def agrees(self) -> bool:
        """Whether the names fit best as they are, and surely so; where neither this nor `permuted`, nobody can tell."""
        return self.sure >= SURE and not self.permuted

    @property
    def permuted(self) -> tuple[tuple[str, str], ...]:
        """What the right set calls X is Y in the left one; empty where the labels agree, or nobody can be sure."""
        if self.sure < SURE:
            return ()
        return tuple((name, other) for name, other in self.assignment.items() if name != other)

    @property
    def swaps(self) -> tuple[tuple[str, str], ...]:
        """The pairs of names that stand for each other."""
        return tuple((a, b) for a, b in self.permuted if a < b and self.assignment[b] == a)


def compare_labels(
    left: tuple[NDArray[np.floating], NDArray[np.int64]],
    right: tuple[NDArray[np.floating], NDArray[np.int64]],
    expressions: Sequence[str],
    seed: int = 0,
) -> Verdict | None:
    """Raw features (N, D) and labels (N,) of both sets over `expressions`; None where too few are in both."""
    counts = [np.bincount(index, minlength=len(expressions)) for _, index in (left, right)]
    shared = np.flatnonzero((counts[0] >= FEWEST_FACES) & (counts[1] >= FEWEST_FACES))
    if len(shared) < FEWEST_EXPRESSIONS:
        return None
    generator = np.random.default_rng(seed_from("label permutation", seed))
    means = [_resampled_means(features, index, shared, generator) for features, index in (left, right)]
    cosines = _directions(means[1]) @ _directions(means[0]).transpose(0, 2, 1)
    assignments = np.array([linear_sum_assignment(-one)[1] for one in cosines])
    best = assignments[0]  # of the sets as they are; the others are resampled
    names = [expressions[int(k)] for k in shared]
    return Verdict(
        assignment={name: names[other] for name, other in zip(names, best.tolist(), strict=True)},
        margin=float(cosines[0][np.arange(len(best)), best].mean() - np.diagonal(cosines[0]).mean()),
        sure=float((assignments[1:] == best).all(axis=1).mean()),
    )


def _resampled_means(
    features: NDArray[np.floating], index: NDArray[np.int64], shared: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.float32]:
    """(1 + RESAMPLES, L, D) mean features per expression: as they are, then of faces drawn with replacement."""
    means = []
    for expression in shared:
        rows = features[index == expression].astype(np.float32)
        drawn = generator.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=RESAMPLES)
        weights = np.concatenate([np.ones((1, len(rows))), drawn]).astype(np.float32) / len(rows)
        means.append(weights @ rows)
    return np.stack(means, axis=1)


def _directions(means: NDArray[np.float32]) -> NDArray[np.float32]:
    """From the middle of a set's expressions to each of them, of length 1: what the sets differ in drops out."""
    centred = means - means.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=2, keepdims=True), 1e-12))
