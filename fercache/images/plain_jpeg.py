"""Plain JPEG files, as most face crops are, straight to pixels.

Pillow gives the same pixels, but half of its time is Python, for which all threads wait; see docs/scale.md.
"""

import numpy as np
import simplejpeg
from numpy.typing import NDArray

_SCAN, _METADATA = b"\xff\xda", b"\xff\xe1"
"""Markers. The latter's segment may say how the picture lies."""
_PROFILE = b"ICC_PROFILE\0"
_COLOURS = ("YCbCr", "RGB", "Gray")


def decode_plain(data: bytes, most_pixels: int) -> NDArray[np.uint8] | None:
    """RGB (H, W, 3) uint8 of a small whole picture in one scan, without metadata or profile; None for any other."""
    if data[:2] != b"\xff\xd8" or data.count(_SCAN) != 1 or _METADATA in data or _PROFILE in data:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in _COLOURS or height * width > most_pixels:
            return None
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB")
    except ValueError:  # damaged: strict, unlike Pillow, about what can be guessed
        return None
    return pixels
