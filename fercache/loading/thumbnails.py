"""Thumbnails of faces for reports: of synthetic faces always, of real people only on request."""

import base64
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from fercache import registry
from fercache.datasets import Dataset, DatasetName, FaceImage
from fercache.errors import UsageError
from fercache.images.colours import Unreadable
from fercache.loading.originals import faces_with
from fercache.reporting.report import FaceImages
from fercache.runtime.progress import progress
from fercache.settings import Settings
from fercache.store.tables import TableInfo, find_tables

SIDE = 72
QUALITY = 80
"""Of the JPEG: about 2 KB for a face."""


def images_of(settings: Settings, show_real: bool) -> FaceImages:
    """A function from a target's name and face ids to thumbnails: data URIs of 72 x 72 pixels, by id.

    Images are cut and corrupted as for the encoder. Left out are unreadable images, datasets without a known root, and,
    unless `show_real`, all datasets that may show real people.
    """

    @cache
    def tables() -> list[TableInfo]:
        return find_tables(settings.cache)

    def images(target: str, ids: Sequence[str]) -> Mapping[str, str]:
        with suppress(UsageError, OSError):  # an unknown dataset, or one that was moved
            name = DatasetName.parse(target)
            dataset: Dataset = registry.load("datasets", name.family)
            if dataset.may_show_faces or show_real:
                return _with_progress(thumbnails(faces_with(ids, name, settings=settings, tables=tables())), len(ids))
        return {}

    return images


def _with_progress(found: Iterable[tuple[str, str]], expected: int) -> dict[str, str]:
    images = {}
    with progress("images of faces", expected, "face") as bar:
        for id, image in found:
            images[id] = image
            bar.update()
    return images


def thumbnails(faces: Iterable[FaceImage]) -> Iterator[tuple[str, str]]:
    """Ids and thumbnails of the readable faces."""
    for face in faces:
        with suppress(Unreadable, OSError):
            yield face.id, thumbnail(face.pixels(face.read()))


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """A data URI of the central square of an image (H, W, 3), which is what encoders see."""
    image = ImageOps.fit(Image.fromarray(pixels), (SIDE, SIDE), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
