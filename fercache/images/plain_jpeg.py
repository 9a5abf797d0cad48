"""A fast decoder for plain JPEG files, which most face crops are.

Pillow gives the same pixels, but spends half of its time in Python, where all threads wait; see docs/scale.md.
"""

import numpy as np
import simplejpeg
from numpy.typing import NDArray

_SCAN, _METADATA = b"\xff\xda", b"\xff\xe1"
"""Markers. The segment of the latter may hold the orientation."""
_PROFILE = b"ICC_PROFILE\0"
_COLOURS = ("YCbCr", "RGB", "Gray")


def decode_plain(data: bytes, most_pixels: int) -> NDArray[np.uint8] | None:
    """RGB (H, W, 3) uint8 of a small, complete image in one scan, without metadata or profile; None for any other."""
    if data[:2] != b"\xff\xd8" or data.count(_SCAN) != 1 or _METADATA in data or _PROFILE in data:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in _COLOURS or height * width > most_pixels:
            return None
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB")
    except ValueError:  # damaged: this decoder is stricter than Pillow
        return None
    return pixels
