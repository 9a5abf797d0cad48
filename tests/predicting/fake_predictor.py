"""A predictor without networks: red squares are faces, and blue in them makes them happy."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fercache.detectors import Detector
from fercache.images.alignment import FoundFace
from fercache.predicting.classifiers import Square
from fercache.predicting.predictor import Predictor

NAMES = ("happiness", "neutral")
RED, VIOLET = (220, 20, 20), (220, 20, 220)
"""Colours of a neutral and of a happy face."""
SURE = 0.9


class RedSquares(Detector):
    """Connected red areas."""

    def identity(self) -> dict[str, Any]:
        return {"name": "red-squares"}

    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        areas, _ = ndimage.label((image[:, :, 0] > 150) & (image[:, :, 1] < 100))
        slices = ndimage.find_objects(areas)
        boxes = [(float(x.start), float(y.start), float(x.stop), float(y.stop)) for y, x in slices]
        return [FoundFace(box, 0.9) for box in boxes if box[2] - box[0] > 8]


@dataclass
class ByColour:
    """Stands for a classifier."""

    title: str = "fake"
    names: tuple[str, ...] = NAMES
    training: str = "trained on nothing"
    declined: str = ""
    runs: tuple[Any, ...] = ()
    encoder: Any = field(default_factory=lambda: SimpleNamespace(name="fake", batch_size=8, image_size=8))

    def prepare(self, face: NDArray[np.uint8]) -> Square:
        return Square(face[::4, ::4], None)

    def probabilities(self, faces: Sequence[Square]) -> NDArray[np.float32]:
        happy = [SURE if face.view[:, :, 2].mean() > 120 else 1 - SURE for face in faces]
        return np.array([[share, 1 - share] for share in happy], np.float32)


def fake_predictor(detector: bool = True, **more: Any) -> Predictor:
    return Predictor(ByColour(), RedSquares() if detector else None, **more)  # type: ignore[arg-type]


def scene(squares: Sequence[tuple[float, float, tuple[int, int, int]]], size: tuple[int, int] = (160, 96)) -> Any:
    """(H, W, 3) grey pixels with squares of 24 pixels: x and y of a corner, and a colour."""
    pixels = np.full((size[1], size[0], 3), 90, np.uint8)
    for x, y, colour in squares:
        pixels[int(y) : int(y) + 24, int(x) : int(x) + 24] = colour
    return pixels
