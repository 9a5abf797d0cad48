"""Which faces of a scene were found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fercache.images.alignment import FoundFace
from tests.scenes.compose import Truth

FOUND = 0.5
"""The least overlap (area of both over area of either) of a face's box with the true one."""


@dataclass(frozen=True)
class Matched:
    """For each truth its face, or None; and the boxes whose middles are in no portrait."""

    faces: tuple[FoundFace | None, ...]
    false: tuple[FoundFace, ...]


def match(found: Sequence[FoundFace], truths: Sequence[Truth], least: float = FOUND) -> Matched:
    """Pair faces with truths, the greatest overlap first."""
    overlaps = _overlaps([face.box for face in found], [truth.box for truth in truths])
    faces: list[FoundFace | None] = [None] * len(truths)
    while overlaps.size and overlaps.max() >= least:
        row, column = map(int, np.unravel_index(overlaps.argmax(), overlaps.shape))
        faces[column] = found[row]
        overlaps[row], overlaps[:, column] = -1, -1
    return Matched(tuple(faces), tuple(face for face in found if not any(_is_in(face, truth) for truth in truths)))


def _is_in(face: FoundFace, truth: Truth) -> bool:
    left, top, right, bottom = truth.portrait_box
    return left <= sum(face.box[::2]) / 2 <= right and top <= sum(face.box[1::2]) / 2 <= bottom


def _overlaps(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """(N, M) areas of both over areas of either."""
    a, b = np.array(ours).reshape(-1, 1, 4), np.array(theirs).reshape(1, -1, 4)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    both = np.maximum(sides, 0).prod(-1)
    either = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - both
    return np.asarray(both / either)
