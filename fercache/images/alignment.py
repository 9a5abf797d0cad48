"""A face found in a photograph -> a square crop, the same for every command."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Points = tuple[tuple[float, float], ...]
EDGES = ("left", "top", "right", "bottom")
"""Of a box, in its order, as columns of tables."""

TEMPLATE = np.array([(0.312, 0.386), (0.688, 0.386), (0.500, 0.595), (0.347, 0.769), (0.653, 0.769)])
"""Where the landmarks of a face lie in its square at margin 0: x and y as shares of the side.

So they lie in FERPlus's crops, on which the bundled encoder was trained: the median over 900 test faces, of MTCNN's and
YuNet's landmarks, made symmetrical.
"""
LEAST_SIDE, MOST_SIDE = 16, 1024
"""Sides of a crop in pixels. Within them, a crop has the resolution of its photograph."""

REACH = 3
"""Pixels around a point that its interpolation needs."""


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face in an image: `box` (left, top, right, bottom) in pixels, which may reach beyond the image.

    `score` is the detector's, 0 to 1. `landmarks` are five points (x, y), as they lie in an upright face from left to
    right: two eyes, the tip of the nose, two corners of the mouth; or ().
    """

    box: tuple[float, float, float, float]
    score: float = 1.0
    landmarks: Points = ()

    @property
    def side(self) -> float:
        """The longer side of the box, in pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])


@dataclass(frozen=True)
class Alignment:
    """How a face becomes a square: turned upright by its landmarks if it has them, with a `margin` around it.

    The margin is a share of the square's side, on each side: of the TEMPLATE's square, or of the box made square.
    On FERPlus's test faces, found in scenes, faces turned by landmarks at margin 0 are classified as accurately as the
    original crops, within 1.2 points; wider margins, and boxes of turned faces, cost accuracy (docs/faces.md).
    """

    margin: float = 0.0

    def identity(self) -> dict[str, Any]:
        """Everything that affects pixels, as JSON."""
        return {"margin": self.margin, "template": TEMPLATE.tolist()}

    def square(self, face: FoundFace) -> NDArray[np.float64]:
        """(2, 3): maps the unit square, x right and y down, to pixels of the image."""
        if face.landmarks:
            matrix = _similarity(TEMPLATE, np.asarray(face.landmarks, np.float64))
        else:
            left, top, right, bottom = face.box
            middle, side = np.array([left + right, top + bottom]) / 2, face.side
            matrix = np.array([[side, 0, middle[0] - side / 2], [0, side, middle[1] - side / 2]])
        larger = 1 + 2 * self.margin
        enlarged = np.array([[larger, 0, -self.margin], [0, larger, -self.margin], [0, 0, 1]])
        return np.asarray(matrix @ enlarged, np.float64)

    def crop(self, image: Pixels, face: FoundFace) -> Pixels:
        """(H, W, 3) uint8 -> (S, S, 3) uint8 of the photograph's own resolution; black outside the photograph."""
        to_pixels = self.square(face)
        side = int(np.clip(round(float(np.hypot(*to_pixels[:, 0]))), LEAST_SIDE, MOST_SIDE))
        part, corner = _around(image, to_pixels)
        to_pixels[:, :2] /= side
        to_pixels[:, 2] -= corner
        drawn = Image.fromarray(part).transform(
            (side, side), Image.Transform.AFFINE, to_pixels.ravel().tolist(), Image.Resampling.BICUBIC
        )
        return np.array(drawn)  # a copy that can be written to, as `decode` returns


def _around(image: Pixels, square: NDArray[np.float64]) -> tuple[Pixels, NDArray[np.int64]]:
    """The part of an image that a (2, 3) `square` needs, and its corner (x, y): Pillow copies what it is given."""
    corners = square @ np.array([[0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]])
    limits = np.array([image.shape[1], image.shape[0]])
    begin = np.clip(np.floor(corners.min(axis=1)) - REACH, 0, limits - 1).astype(np.int64)
    end = np.clip(np.ceil(corners.max(axis=1)) + REACH, begin + 1, limits).astype(np.int64)
    return image[begin[1] : end[1], begin[0] : end[0]], begin


def _similarity(template: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3): the rotation, scale and shift, without reflection, from `template` (P, 2) nearest to `points` (P, 2)."""
    start, end = template.mean(0), points.mean(0)
    left, right = template - start, points - end
    along, across = (left * right).sum(), (left[:, 0] * right[:, 1] - left[:, 1] * right[:, 0]).sum()
    scale, turned = np.array([along, across]) / np.square(left).sum()
    linear = np.array([[scale, -turned], [turned, scale]])
    return np.column_stack([linear, end - linear @ start])
