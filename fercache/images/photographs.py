"""Photographs, decoded once for all of their faces, which are read one after another."""

import threading

import numpy as np
from numpy.typing import NDArray

from fercache.images.decode import decode

KEPT = 16_000_000
"""Most pixels of a photograph that a thread keeps: 48 MB."""


class _Last(threading.local):
    """The thread's last photograph, as a file's bytes and as pixels."""

    data = b""
    pixels: NDArray[np.uint8] = np.empty((0, 0, 3), np.uint8)


_last = _Last()


def decode_photograph(data: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8, not to be written to; of the thread's last photograph at once. Raises Unreadable."""
    if isinstance(data, bytes) and data == _last.data and data:
        return _last.pixels
    pixels = decode(data)
    if isinstance(data, bytes) and pixels.shape[0] * pixels.shape[1] <= KEPT:
        _last.data, _last.pixels = data, pixels
    return pixels
