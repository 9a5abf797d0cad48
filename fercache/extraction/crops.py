"""Face crops for trunks that see pixels: decoded, cut and resized as for the encoder, at another side."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fercache.datasets import FaceImage
from fercache.encoders import Encoder
from fercache.errors import FercacheError, UsageError
from fercache.extraction.listing import Listing
from fercache.extraction.threads import in_threads
from fercache.identity import key_of, pixel_hash
from fercache.images.colours import Unreadable
from fercache.runtime.progress import progress
from fercache.store.asked import last_asked, note_asked
from fercache.store.crops import Cut, crop_files, crops_identity, crops_path, read_crops, write_crops
from fercache.store.tables import read_info, read_table

AT_ONCE = 512
"""Crops in memory before they are written."""


def store_crops(cache: Path, table: Path, listing: Listing, *, encoder: Encoder, side: int) -> None:
    """Cuts the faces of a table as the encoder does, unless there are such crops already."""
    identity = crops_identity(read_info(table).identity, encoder.geometry(), side)
    path = crops_path(cache, table, side, key=key_of(identity))
    try:
        read_crops(path)
    except UsageError:  # absent, or damaged
        columns = read_table(table).columns
        cuts = cut_faces(_those_of(columns.id, listing), columns.pixel_sha256, encoder, side=side)
        write_crops(path, identity, id=columns.id, pixel_sha256=columns.pixel_sha256, parts=cuts)
    note_asked(path, [last_asked(crops) for crops in crop_files(cache)])


def _those_of(ids: NDArray[np.object_], listing: Listing) -> Iterator[FaceImage]:
    """The faces with these ids, which are in the order of the listing."""
    wanted = iter(ids)
    id = next(wanted, None)
    for face in listing.faces:
        if face.id == id:
            yield face
            id = next(wanted, None)


def cut_faces(
    faces: Iterable[FaceImage], pixel_sha256: NDArray[np.uint8], encoder: Encoder, side: int
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

    count = len(pixel_sha256)
    with progress(f"crops of {side} pixels", count, "face") as bar:
        found = zip(in_threads(faces, cut, os.cpu_count() or 1), pixel_sha256, strict=True)
        for begin in range(0, count, AT_ONCE):
            some = [next(found) for _ in range(min(AT_ONCE, count - begin))]
            for (face, (_, _, hash)), expected in some:
                if hash != expected.tobytes():
                    raise _changed(face.id)
            bar.update(len(some))
            crops, sizes = zip(*((crop, size) for (_, (crop, size, _)), _ in some), strict=True)
            yield Cut(np.stack(crops), np.array(sizes, dtype="<i4"))


def _changed(id: str) -> FercacheError:
    return FercacheError(f"The image of {id} changed while its crops were stored. Run the same command again.")
