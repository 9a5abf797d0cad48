"""What a face looks like at a glance, to recognise it in the next frame."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fercache.videos.tracks import Box, Look

SIDE = 8


def look_of(pixels: NDArray[np.uint8], box: Box) -> Look:
    """The part of an (H, W, 3) image in `box`, in SIDE x SIDE x 3 numbers: a unit vector, or 0 if it is one colour."""
    height, width, _ = pixels.shape
    left, right = np.clip((int(box[0]), round(box[2])), 0, width)
    top, bottom = np.clip((int(box[1]), round(box[3])), 0, height)
    if left >= right or top >= bottom:
        return np.zeros(SIDE * SIDE * 3, np.float32)
    small = Image.fromarray(pixels[top:bottom, left:right]).resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(small, np.float32).ravel()
    values -= values.mean()
    return values / max(float(np.linalg.norm(values)), 1.0)
