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
from fercache.corruptions import corruptions
from fercache.datasets import Dataset, DatasetName, FaceImage
from fercache.errors import UsageError
from fercache.extraction.decode import Unreadable, decode
from fercache.reporting.errors import Pictures
from fercache.settings import Settings
from fercache.store.tables import TableInfo, find_tables

SIDE = 72
QUALITY = 80
"""Of the JPEG: about 2 KB for a face."""


def pictures_of(settings: Settings, show_real: bool) -> Pictures:
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
            if dataset.may_show_faces:
                return dict(_thumbnails(dataset, settings.root_of(str(name.clean)), name, ids))
            root = settings.root_of(str(name.clean)) or _root_of_table(name, tables())
            if show_real and root is not None:
                return dict(_thumbnails(dataset, root, name, ids))
        return {}

    return pictures


def _root_of_table(name: DatasetName, tables: Sequence[TableInfo]) -> Path | None:
    """Where the set lay when it was extracted last."""
    roots = (table.provenance["root"] for table in tables if table.identity["dataset"] == str(name.whole))
    return next((Path(root) for root in roots if root), None)


def _thumbnails(
    dataset: Dataset, root: Path | None, name: DatasetName, ids: Sequence[str]
) -> Iterator[tuple[str, str]]:
    for face in _faces(dataset, root, name, ids):
        with suppress(Unreadable, OSError):
            yield face.id, thumbnail(_pixels(face, name))


def _faces(dataset: Dataset, root: Path | None, name: DatasetName, ids: Sequence[str]) -> Iterator[FaceImage]:
    """Those of the set with these ids; it is listed no further than to the last of them."""
    wanted = set(ids)
    for face in dataset.faces(root, name.domain) if wanted else ():
        if face.id in wanted:
            yield face
            wanted.remove(face.id)
            if not wanted:
                return


def _pixels(face: FaceImage, name: DatasetName) -> NDArray[np.uint8]:
    pixels = decode(face.read(), face.box)
    for corruption in corruptions(name.corruption) if name.corruption else ():
        pixels = corruption(pixels)
    return pixels


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """A data URI of a picture (H, W, 3), its middle square where it is not square itself, as encoders look at it."""
    picture = ImageOps.fit(Image.fromarray(pixels), (SIDE, SIDE), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
