"""Whether two datasets use the same names for the same expressions.

Each expression's mean feature is compared with each of the other dataset's; the best assignment of names should be the
identity. If another one is better, also on resampled faces, labels are swapped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from fercache.identity import seed_from
from fercache.store.rows import Rows, take

RESAMPLES = 200
SURE = 0.95
"""Share of the resamples that must agree on a permutation before it is reported."""
FEWEST_FACES = 5
MOST_FACES = 100_000
"""Of more faces, a sample is compared."""
FEWEST_EXPRESSIONS = 3


@dataclass(frozen=True)
class Verdict:
    """The right dataset's names in terms of the left's, for the expressions that both have.

    `margin` is the best assignment's mean cosine minus the identity's; `sure` the share of resamples with the same
    assignment.
    """

    assignment: Mapping[str, str]
    margin: float
    sure: float

    @property
    def agrees(self) -> bool:
        """Whether the identity is surely the best assignment; if neither this nor `permuted`, it is undecided."""
        return self.sure >= SURE and not self.permuted

    @property
    def permuted(self) -> tuple[tuple[str, str], ...]:
        """Right dataset's name -> left dataset's name; empty if the labels agree, or it is undecided."""
        if self.sure < SURE:
            return ()
        return tuple((name, other) for name, other in self.assignment.items() if name != other)

    @property
    def swaps(self) -> tuple[tuple[str, str], ...]:
        """The pairs of swapped names."""
        return tuple((a, b) for a, b in self.permuted if a < b and self.assignment[b] == a)


def compare_labels(
    left: tuple[Rows, NDArray[np.int64]],
    right: tuple[Rows, NDArray[np.int64]],
    expressions: Sequence[str],
    seed: int = 0,
) -> Verdict | None:
    """Compares raw features (N, D) and labels (N,) of both datasets over `expressions`; None with too few in common.

    A label of -1 is none.
    """
    left, right = _sample(*left), _sample(*right)
    counts = [np.bincount(index[index >= 0], minlength=len(expressions)) for _, index in (left, right)]
    shared = np.flatnonzero((counts[0] >= FEWEST_FACES) & (counts[1] >= FEWEST_FACES))
    if len(shared) < FEWEST_EXPRESSIONS:
        return None
    generator = np.random.default_rng(seed_from("label permutation", seed))
    means = [_resampled_means(features, index, shared, generator=generator) for features, index in (left, right)]
    cosines = _directions(means[1]) @ _directions(means[0]).transpose(0, 2, 1)
    assignments = np.array([linear_sum_assignment(-one)[1] for one in cosines])
    best = assignments[0]  # of the original datasets; the others are resampled
    names = [expressions[int(k)] for k in shared]
    return Verdict(
        assignment={name: names[other] for name, other in zip(names, best.tolist(), strict=True)},
        margin=float(cosines[0][np.arange(len(best)), best].mean() - np.diagonal(cosines[0]).mean()),
        sure=float((assignments[1:] == best).all(axis=1).mean()),
    )


def _sample(features: Rows, index: NDArray[np.int64]) -> tuple[Rows, NDArray[np.int64]]:
    if len(index) <= MOST_FACES:
        return features, index
    generator = np.random.default_rng(seed_from("sample of labels", len(index)))
    rows = np.sort(generator.permutation(len(index))[:MOST_FACES])
    return take(features, rows), index[rows]


def _resampled_means(
    features: Rows, index: NDArray[np.int64], shared: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.float32]:
    """(1 + RESAMPLES, L, D) mean features per expression: of all faces, then of faces drawn with replacement."""
    means = []
    for expression in shared:
        rows = features[np.flatnonzero(index == expression)].astype(np.float32)
        drawn = generator.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=RESAMPLES)
        weights = np.concatenate([np.ones((1, len(rows))), drawn]).astype(np.float32) / len(rows)
        means.append(weights @ rows)
    return np.stack(means, axis=1)


def _directions(means: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors from the centre of a dataset's expressions to each of them, which removes offsets of datasets."""
    centred = means - means.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=2, keepdims=True), 1e-12))
