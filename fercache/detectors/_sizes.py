"""Large images, made smaller before they are searched, so that time and memory are bounded."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fercache.images.alignment import FoundFace

MOST_PIXELS = 1920 * 1080
"""Of an image that is searched."""


def shrunk(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The image to search, and the size (2,), width first, of its pixels in those of `image`."""
    height, width, _ = image.shape
    share = min(1.0, (MOST_PIXELS / (height * width)) ** 0.5)
    size = max(1, round(width * share)), max(1, round(height * share))
    if size == (width, height):
        return np.array(image), np.ones(2)
    small = Image.fromarray(image).resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    return np.array(small), np.array([width, height]) / size


def scaled(face: FoundFace, scale: NDArray[np.float64]) -> FoundFace:
    """A face of the image that was searched, in pixels of the whole image."""
    x, y = map(float, scale)
    left, top, right, bottom = face.box
    return FoundFace(
        (left * x, top * y, right * x, bottom * y), face.score, tuple((a * x, b * y) for a, b in face.landmarks)
    )
