"""Small pictures of faces for reports: of made-up faces always, of real people only where somebody asks for them."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from fercache import registry
from fercache.datasets import Dataset, DatasetName
from fercache.errors import UsageError
from fercache.images.colours import Unreadable
from fercache.loading.originals import faces_with, known_root
from fercache.reporting.report import FaceImages
from fercache.settings import Settings
from fercache.store.tables import TableInfo, find_tables

SIDE = 72
QUALITY = 80
"""Of the JPEG: about 2 KB for a face."""


def images_of(settings: Settings, show_real: bool) -> FaceImages:
    """What shows the faces of a target, by its data set's name and their ids, as data URIs of 72 x 72 pixels.

    Pictures are cut and spoilt as for the encoder. Left out are those that cannot be read, those of a set of which
    nobody knows where it lies, and, unless `show_real`, those of every set that may show real people.
    """

    @cache
    def tables() -> list[TableInfo]:
        return find_tables(settings.cache)

    def pictures(target: str, ids: Sequence[str]) -> Mapping[str, str]:
        with suppress(UsageError, OSError):  # a set that is not known any more, or lies elsewhere
            name = DatasetName.parse(target)
            dataset: Dataset = registry.load("datasets", name.family)
            if dataset.may_show_faces or show_real:
                root = known_root(settings, name, tables()) if dataset.needs_root else None
                return dict(_thumbnails(name, root, ids))
        return {}

    return pictures


def _thumbnails(name: DatasetName, root: Path | None, ids: Sequence[str]) -> Iterator[tuple[str, str]]:
    for face in faces_with(ids, name, root):
        with suppress(Unreadable, OSError):
            yield face.id, thumbnail(face.pixels(face.read()))


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """A data URI of a picture (H, W, 3), its middle square where it is not square itself, as encoders look at it."""
    picture = ImageOps.fit(Image.fromarray(pixels), (SIDE, SIDE), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
