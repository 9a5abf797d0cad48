"""Thumbnails of faces for reports: of synthetic faces always, of real people only on request."""

import base64
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from fercache import registry
from fercache.datasets import Dataset, DatasetName, FaceImage
from fercache.errors import FercacheError, UsageError
from fercache.images.colours import Unreadable
from fercache.loading.originals import faces_with
from fercache.reporting.report import FaceImages
from fercache.runtime.progress import progress
from fercache.settings import Settings
from fercache.store.atomic import write_json
from fercache.store.tables import TableInfo, find_tables

SIDE = 72
QUALITY = 80
"""Of the JPEG: about 2 KB for a face."""


def images_of(settings: Settings, show_real: bool) -> FaceImages:
    """A function from a target's name and face ids to thumbnails: data URIs of 72 x 72 pixels, by id.

    Images are cut and corrupted as for the encoder. Left out are unreadable images, datasets without a known root, and,
    unless `show_real`, all datasets that may show real people. Thumbnails of synthetic faces, which are slow to render,
    are kept in `cache/thumbnails/`; it can be deleted.
    """

    @cache
    def tables() -> list[TableInfo]:
        return find_tables(settings.cache)

    def images(target: str, ids: Sequence[str]) -> Mapping[str, str]:
        with suppress(UsageError, OSError):  # an unknown dataset, or one that was moved
            name = DatasetName.parse(target)
            dataset: Dataset = registry.load("datasets", name.family)
            if dataset.may_show_faces or show_real:
                faces = faces_with(ids, name, settings=settings, tables=tables())
                path = settings.cache / "thumbnails" / f"{name.slug}-{SIDE}-{QUALITY}.json"
                return _kept_in(path, faces, len(ids)) if dataset.may_show_faces else _shown(faces, {}, len(ids))
        return {}

    return images


def _kept_in(path: Path, faces: Iterable[FaceImage], expected: int) -> dict[str, str]:
    """As `_shown`, with the thumbnails that the file has; those that it lacks are added to it."""
    kept: dict[str, str] = {}
    with suppress(OSError, ValueError, TypeError):  # missing or damaged: rendered again
        kept = dict(json.loads(path.read_bytes()))
    before = len(kept)
    images = _shown(faces, kept, expected)
    if len(kept) > before:
        with suppress(FercacheError):  # if it cannot be written, they are rendered again next time
            write_json(path, kept)
    return images


def _shown(faces: Iterable[FaceImage], kept: dict[str, str], expected: int) -> dict[str, str]:
    """The thumbnails by id. `kept` has some by the fingerprint of the face, and gets the others."""
    images: dict[str, str] = {}
    with progress("images of faces", expected, "face") as bar:
        for face in faces:
            rendered = face.fingerprint if isinstance(face.fingerprint, bytes) and face.corruption is None else b""
            key = rendered.hex()
            found = {face.id: kept[key]} if key in kept else dict(thumbnails([face]))
            images |= found
            if key and found:
                kept[key] = found[face.id]
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
