"""The distance of a target's features from the source's: the domain shift, without labels.

Every distance has a noise floor: that between two halves of the source with as many faces. Finite samples of one
distribution are never at distance 0, and the fewer the faces, the larger the distance.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

MOST_FACES = 4000
"""Faces per side to which the Gaussians are fitted."""
MOST_CLASSIFIED = 1000
"""Faces per side for the classifier, and for the kernel."""
BLOCK = 250
"""Faces per side that the kernel compares with each other."""
FEWEST = 20
"""With fewer faces per side, there is no result."""
RIDGE = 1e-6
"""Share of the mean variance added to every direction's."""


@dataclass(frozen=True)
class Drift:
    """The drift of a target from a source, in the encoder's raw features.

    `norm` and `source_norm` are mean lengths. `frechet` is a squared distance, in the units of squared features,
    `a_distance` is between -2 and 2, `mmd` is a square up to 2; about 0 means no drift. The floors are those of two
    halves of the source, with `faces` per side as for the target. Older records have no `mmd`.
    """

    faces: int
    norm: float
    source_norm: float
    frechet: float
    frechet_floor: float
    a_distance: float
    a_distance_floor: float
    mmd: float | None = None
    mmd_floor: float | None = None

    @property
    def norm_ratio(self) -> float | None:
        """The target's mean length divided by the source's; None if the source's is zero."""
        return self.norm / self.source_norm if self.source_norm else None


class Features(Protocol):
    """(N, D), in memory or on disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """The features (B, D) at `rows` (B,)."""


def drift(source: Features, target: Features, *, seed: int) -> Drift | None:
    """The drift of `target` (M, D) from `source` (N, D), raw features; the compared faces are sampled with `seed`.

    None with fewer than FEWEST target faces, or fewer than twice as many of the source. In one thread: the bits of sums
    depend on the number of threads, and with other runs in parallel several threads would only wait.
    """
    faces = min(len(target), len(source) // 2, MOST_FACES)
    if faces < FEWEST:
        return None
    generator = np.random.default_rng(seed)
    halves = generator.permutation(len(source))[: 2 * faces]
    drawn = _rows(target, generator.permutation(len(target))[:faces])
    one, other = _rows(source, halves[:faces]), _rows(source, halves[faces:])
    few, few_others, few_drawn = (each[:MOST_CLASSIFIED] for each in (one, other, drawn))
    with threadpool_limits(1):
        return Drift(
            faces=faces,
            norm=_mean_norm(drawn),
            source_norm=_mean_norm(np.concatenate([one, other])),
            frechet=frechet_distance(one, drawn),
            frechet_floor=frechet_distance(one, other),
            a_distance=proxy_a_distance(few, few_drawn, seed=seed),
            a_distance_floor=proxy_a_distance(few, few_others, seed=seed),
            mmd=maximum_mean_discrepancy(few, few_drawn),
            mmd_floor=maximum_mean_discrepancy(few, few_others),
        )


def _rows(features: Features, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return features[rows].astype(np.float64)


def _mean_norm(features: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(features, axis=1).mean())


def frechet_distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The squared Fréchet distance of Gaussians fitted to (N, D) and (M, D) features (Dowson and Landau 1982, eq. 4).

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), as the FID has it (Heusel et al. 2017, eq. 6).
    """
    apart = one.mean(axis=0) - other.mean(axis=0)
    ours, theirs = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    # With fewer faces than directions, some have no variance, which a Cholesky factor needs.
    little = RIDGE * (np.trace(ours) + np.trace(theirs)) / 2 / len(ours) + np.finfo(float).tiny
    for each in (ours, theirs):
        each[np.diag_indices_from(each)] += little
    factor = np.linalg.cholesky(ours)
    # S1 S2 = L L^T S2 has the eigenvalues of L^T S2 L, which is symmetric.
    common = np.sqrt(np.maximum(np.linalg.eigvalsh(factor.T @ theirs @ factor), 0)).sum()
    return float(max(apart @ apart + np.trace(ours) + np.trace(theirs) - 2 * common, 0.0))


def proxy_a_distance(one: NDArray[np.float64], other: NDArray[np.float64], *, seed: int) -> float:
    """2 (1 - 2 e), where e is the held-out error of a linear classifier between both (Ben-David et al. 2007).

    Least squares with ridge on standardised features (N, D) and (M, D); each half of the faces is held out once.
    """
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, side = np.concatenate([one, other]), np.repeat([0, 1], [len(one), len(other)])
    # Ridge equal to the number of faces halves the weight of a standardised direction.
    classifier = make_pipeline(StandardScaler(), RidgeClassifier(alpha=len(features) / 2))
    halves = StratifiedKFold(2, shuffle=True, random_state=seed % 2**32)
    wrong = float(np.mean(cross_val_predict(classifier, features, side, cv=halves) != side))
    return 2 * (1 - 2 * wrong)


def maximum_mean_discrepancy(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The squared discrepancy of (N, D) and (N, D) features in random order (Gretton et al. 2012, eq. 3, unbiased).

    The kernel is exp(-d^2 / 2 m), m the median of squared distances between the pooled faces of a block. The mean over
    blocks of BLOCK faces per side (Zaremba et al. 2013); the last block also has those that are left.
    """
    blocks = max(len(one) // BLOCK, 1)
    ends = [BLOCK * number for number in range(1, blocks)]
    pairs = zip(np.split(one, ends), np.split(other, ends), strict=True)
    return float(np.mean([_discrepancy(ours, theirs) for ours, theirs in pairs]))


def _discrepancy(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    both, faces = np.concatenate([one, other]), len(one)
    lengths = (both**2).sum(axis=1)
    squares = np.maximum(lengths[:, None] + lengths - 2 * both @ both.T, 0)
    middle = np.median(squares[np.triu_indices(2 * faces, 1)])
    alike = np.exp(-squares / (2 * middle + np.finfo(float).tiny))
    np.fill_diagonal(alike, 0)
    within = (alike[:faces, :faces].sum() + alike[faces:, faces:].sum()) / (faces * (faces - 1))
    return float(within - 2 * alike[:faces, faces:].mean())
