"""Whitened features: all directions have equal spread, so that the weak ones, which hold individual traits, count."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.identity import seed_from
from fercache.store.rows import Rows

FITTED_ON = 8192
"""Rows of each table to which the whitening is fitted."""
ROWS_PER_DIRECTION = 8
WEAKEST = 1e-5
"""Directions weaker than this share of the strongest are dropped."""

CHUNK = 8192
"""Default number of rows processed together."""


@dataclass(frozen=True)
class Whitening:
    """Features (N, D) -> unit vectors (N, d) whose coordinates have equal spread over the datasets it is fitted to."""

    mean: NDArray[np.float32]
    projection: NDArray[np.float32]

    @classmethod
    def fit(cls, sets: Sequence[Rows]) -> "Whitening":
        """Fitted to raw features of one encoder."""
        generator = np.random.default_rng(seed_from("whitening"))
        chosen = [features[generator.permutation(len(features))[:FITTED_ON]] for features in sets]
        rows = np.concatenate(chosen).astype(np.float64)
        mean = rows.mean(axis=0)
        variances, directions = np.linalg.eigh(np.cov(rows - mean, rowvar=False, bias=True))
        spread = np.sqrt(np.maximum(variances, 0))[::-1]
        kept = max(1, min(int((spread > WEAKEST * spread[0]).sum()), len(rows) // ROWS_PER_DIRECTION))
        projection = directions[:, ::-1][:, :kept] / np.maximum(spread[:kept], np.finfo(np.float32).tiny)
        return cls(mean.astype(np.float32), projection.astype(np.float32))

    def strongest(self, directions: int) -> "Whitening":
        """The same, with the strongest directions alone: changed copies deviate least in them."""
        return Whitening(self.mean, np.ascontiguousarray(self.projection[:, :directions]))

    def __call__(self, features: Rows) -> NDArray[np.float32]:
        """(N, D) -> (N, d), of length 1."""
        whitened = np.empty((len(features), self.projection.shape[1]), np.float32)
        for begin in range(0, len(features), CHUNK):
            part = (features[begin : begin + CHUNK].astype(np.float32) - self.mean) @ self.projection
            length = np.linalg.norm(part, axis=1, keepdims=True)
            whitened[begin : begin + CHUNK] = part / np.maximum(length, 1e-12)
        return whitened

    def cosines(self, left: Rows, right: Rows, pairs: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[Any]:
        """(P,) of P pairs of rows; few rows are in memory at a time."""
        found = np.empty(len(pairs[0]), np.float32)
        for begin in range(0, len(found), CHUNK):
            some = slice(begin, begin + CHUNK)
            ours, theirs = (self._rows(side, rows[some]) for side, rows in zip((left, right), pairs, strict=True))
            found[some] = np.einsum("nd,nd->n", ours, theirs)
        return found

    def _rows(self, features: Rows, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        read, places = np.unique(rows, return_inverse=True)
        return self(features[read])[places]
