"""A detector for tests: it finds the squares that are painted in one colour."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.detectors import Detector
from fercache.images.alignment import FoundFace

MARK = (255, 0, 255)


class FakeDetector(Detector):
    """A face for each row of marked pixels, as wide and tall as the row is long; counts its images in `seen`."""

    def __init__(self, file: str = "") -> None:
        super().__init__(file)
        self.seen = 0

    def identity(self) -> Mapping[str, Any]:
        return {"name": "fake"}

    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        self.seen += 1
        rows, columns = np.nonzero((image == MARK).all(axis=2))
        faces = []
        for row in np.unique(rows):
            left, right = columns[rows == row].min(), columns[rows == row].max() + 1
            faces.append(FoundFace((float(left), float(row), float(right), float(row + right - left)), 0.9))
        return faces


def scene(width: int, height: int, *faces: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A grey image with a face, and its mark, at each (left, top, side)."""
    pixels = np.full((height, width, 3), 120, np.uint8)
    for number, (left, top, side) in enumerate(faces):
        pixels[top : top + side, left : left + side] = 40 * number + np.arange(side)[:, None] % 40
        pixels[top, left : left + side] = MARK
    return pixels
