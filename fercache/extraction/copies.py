"""Encoded copies of a few faces: re-compressed, resized, mirrored. They calibrate the search for duplicates."""

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fercache.datasets import FaceImage
from fercache.encoders import Encoder
from fercache.images.colours import Unreadable
from fercache.store.copies import Copies

MOST = 64
_AS_IT_IS = ""
SHARE = 100
"""One face in this many is copied, at most MOST: a table costs at most 6 % more. Smaller datasets have no copies."""

Pixels = NDArray[np.uint8]


def _recompressed(pixels: Pixels, quality: int) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream).convert("RGB"))


def _resized(pixels: Pixels, scale: float) -> Pixels:
    height, width, _ = pixels.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


CHANGES: Mapping[str, Callable[[Pixels], Pixels]] = {
    "jpeg 90": lambda pixels: _recompressed(pixels, 90),
    "jpeg 75": lambda pixels: _recompressed(pixels, 75),
    "enlarged": lambda pixels: _resized(pixels, 2),
    "reduced": lambda pixels: _resized(pixels, 0.75),
    "mirrored": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
}


def encode_copies(faces: Sequence[FaceImage], encoder: Encoder) -> Copies | None:
    """Evenly spaced `faces`, unchanged and after each change; None if there are too few, or too few can be read."""
    wanted = min(MOST, len(faces) // SHARE)
    chosen = [faces[row] for row in np.linspace(0, len(faces) - 1, wanted).astype(int)]
    squares = [square for square in (_squares(face, encoder) for face in chosen) if square is not None]
    if not squares:
        return None

    def encode(name: str) -> NDArray[np.floating]:
        faces, size = np.stack([square[name] for square in squares]), encoder.batch_size
        return np.concatenate(
            [encoder.encode_images(faces[begin : begin + size]) for begin in range(0, len(faces), size)]
        )

    return Copies(encode(_AS_IT_IS), {name: encode(name) for name in CHANGES})


def _squares(face: FaceImage, encoder: Encoder) -> dict[str, Pixels] | None:
    """The image and its copies, preprocessed: for all chosen faces they have to fit in memory."""
    try:
        image = face.pixels(face.read())
    except (Unreadable, OSError):
        return None
    changed = {name: encoder.preprocess(change(image)) for name, change in CHANGES.items()}
    return {_AS_IT_IS: encoder.preprocess(image), **changed}
