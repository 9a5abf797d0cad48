"""Face crops for trunks that see pixels: decoded, cut and resized as for the encoder, at another side."""

import os
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fercache.datasets import FaceImage
from fercache.encoders import Encoder
from fercache.errors import FercacheError
from fercache.extraction.prepare import in_threads
from fercache.identity import pixel_hash
from fercache.images.colours import Unreadable
from fercache.runtime.progress import progress
from fercache.store.crops import Cut

AT_ONCE = 512
"""Crops in memory before they are written."""


def cut_faces(
    faces: Sequence[FaceImage], pixel_sha256: NDArray[np.uint8], encoder: Encoder, side: int
) -> Iterator[Cut]:
    """The crops of `faces` (side S), whose images have these hashes (N, 32), some at a time.

    Raises FercacheError if an image has changed since it was encoded.
    """

    def cut(face: FaceImage) -> tuple[NDArray[np.uint8], tuple[int, int], bytes]:
        try:
            pixels = face.pixels(face.read())
        except (Unreadable, OSError) as error:
            raise _changed(face.id) from error
        return encoder.preprocess(pixels, side), pixels.shape[:2], pixel_hash(pixels)

    with progress(f"crops of {side} pixels", len(faces), "face") as bar:
        found = zip(in_threads(faces, cut, os.cpu_count() or 1), pixel_sha256, strict=True)
        for begin in range(0, len(faces), AT_ONCE):
            some = [next(found) for _ in range(min(AT_ONCE, len(faces) - begin))]
            for (face, (_, _, hash)), expected in some:
                if hash != expected.tobytes():
                    raise _changed(face.id)
            bar.update(len(some))
            crops, sizes = zip(*((crop, size) for (_, (crop, size, _)), _ in some), strict=True)
            yield Cut(np.stack(crops), np.array(sizes, dtype="<i4"))


def _changed(id: str) -> FercacheError:
    return FercacheError(f"The image of {id} changed while its crops were stored. Run the same command again.")
