"""Random features as an encoder of expressions gives them: what is shared is strong, what makes an image is weak."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.audits.duplicates import SearchedFaces

DIMENSION, EXPRESSIONS, SHARED = 48, 7, 5
_random = np.random.default_rng(1)
DIRECTIONS = np.linalg.qr(_random.normal(size=(DIMENSION, SHARED)))[0].T
CENTRES = 60 * _random.normal(size=(EXPRESSIONS, SHARED))


def made_faces(count: int, seed: int) -> SearchedFaces:
    """`count` different random images."""
    random = np.random.default_rng(seed)
    shared = CENTRES[random.integers(EXPRESSIONS, size=count)] + random.normal(size=(count, SHARED))
    features = shared @ DIRECTIONS + random.normal(size=(count, DIMENSION))
    pixels = random.integers(256, size=(count, 32), dtype=np.uint8)
    return SearchedFaces(features.astype(np.float32), pixels, np.full(count, "", dtype=object))


def changed(features: NDArray[Any], seed: int) -> NDArray[Any]:
    """Features of the same images, changed a little: what is shared moves more than look-alikes are apart."""
    random = np.random.default_rng(seed)
    moved = 12 * random.normal(size=(len(features), SHARED)) @ DIRECTIONS
    return (features + moved + 0.15 * random.normal(size=features.shape)).astype(np.float32)


def with_copies(faces: SearchedFaces, rows: NDArray[np.int64], of: NDArray[Any], seed: int) -> SearchedFaces:
    """The `rows` of `faces` replaced by changed copies of the features `of`."""
    features = faces.features.copy()
    features[rows] = changed(of, seed)
    return replace(faces, features=features)
