"""A detector for tests, and photographs for it: a face is a square of one bright colour on a dark ground.

The file is a plugin, which workers of a cluster load as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from fercache.detectors import Detector
from fercache.images.alignment import FoundFace

FILE = Path(__file__)
DARK, BRIGHT = 40, 100
Square = tuple[int, int, int]
"""Left, top, side."""


class Squares(Detector):
    """The squares of an image; `searched` counts the images of this process."""

    searched = 0

    def identity(self) -> Mapping[str, Any]:
        return {"name": "squares", "version": 1}

    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        Squares.searched += 1
        labelled, _ = ndimage.label(image.max(axis=2) > BRIGHT)
        places = ndimage.find_objects(labelled)
        return [FoundFace((float(x.start), float(y.start), float(x.stop), float(y.stop)), 0.9) for y, x in places]


def colour(number: int) -> NDArray[np.uint8]:
    return np.array([255 - number % 100, 120 + number * 7 % 100, 110 + number * 13 % 120], np.uint8)


def photograph(squares: Sequence[Square], number: int = 0) -> NDArray[np.uint8]:
    """(90, 120, 3), the squares in colours that depend on the number."""
    pixels = np.full((90, 120, 3), DARK, np.uint8)
    pixels[0, 0] = number % DARK, number // DARK % DARK, 0  # so that no two are alike
    for place, (left, top, side) in enumerate(squares):
        pixels[top : top + side, left : left + side] = colour(number + 50 * place)
    return pixels


LAYOUTS: tuple[tuple[Square, ...], ...] = (((10, 10, 30),), ((10, 10, 20), (60, 20, 40)), ())


def save_photographs(folder: Path, count: int, first: int = 0) -> Iterator[Path]:
    """One square, two, none, in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        path = folder / f"{number:03}.png"
        Image.fromarray(photograph(LAYOUTS[number % 3], number)).save(path)
        yield path


plugin = Squares
