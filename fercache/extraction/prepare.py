"""Read, decode, crop, hash and render faces, many at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from fercache.datasets import FaceImage
from fercache.encoders import Encoder
from fercache.errors import FercacheError
from fercache.extraction.listing import UNREAD
from fercache.extraction.threads import in_threads
from fercache.identity import content_hash, pixel_hash
from fercache.images.colours import Unreadable
from fercache.images.decode import looks_like_no_face
from fercache.images.views import CLEAN as CLEAN_RECIPE
from fercache.images.views import Recipe, draw_view, view_names
from fercache.store.schema import CLEAN, Quarantined

SAMPLE = 32
"""Faces by which an encoder's precision and speed are measured."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A face ready to be encoded: its views, each (S, S, 3) uint8, and hashes of the file and the decoded image.

    `crop` is the clean view at another side, if requested.
    """

    views: tuple[NDArray[np.uint8], ...]
    crop: NDArray[np.uint8] | None
    file_sha256: bytes
    pixel_sha256: bytes
    warning: str | None


@dataclass(frozen=True)
class RequestedViews:
    """The clean view, and the first `count` of a recipe."""

    recipe: Recipe = CLEAN_RECIPE
    count: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in the table, the clean view first."""
        return (CLEAN, *view_names(self.recipe, self.count))

    def render(self, pixels: NDArray[np.uint8], pixel_sha256: bytes, encoder: Encoder) -> tuple[NDArray[np.uint8], ...]:
        """All views of a decoded image, each (S, S, 3)."""
        drawn = (draw_view(self.recipe, number, pixel_sha256) for number in range(self.count + 1))
        return tuple(view.on_square(encoder.preprocess(view.on_image(pixels))) for view in drawn)


CLEAN_VIEW = RequestedViews()


def prepare(
    face: FaceImage, encoder: Encoder, views: RequestedViews = CLEAN_VIEW, crop_side: int | None = None
) -> Prepared | Quarantined:
    """One face. An unreadable image becomes a line of the quarantine list."""
    try:
        data = face.read()
        pixels = face.pixels(data)
    except Unreadable as error:
        return Quarantined(face.id, str(error))
    except OSError as error:
        return Quarantined(face.id, f"{UNREAD}: {error.strerror or error}")
    pixel_sha256 = pixel_hash(pixels)
    return Prepared(
        views=views.render(pixels, pixel_sha256, encoder),
        crop=None if crop_side is None else encoder.preprocess(pixels, crop_side),
        file_sha256=content_hash(data),
        pixel_sha256=pixel_sha256,
        warning=looks_like_no_face(pixels) if face.corruption is None else None,
    )


def prepared_faces(
    faces: Iterable[FaceImage],
    encoder: Encoder,
    views: RequestedViews = CLEAN_VIEW,
    crop_side: int | None = None,
    workers: int | None = None,
) -> Iterator[tuple[FaceImage, Prepared | Quarantined]]:
    """`prepare` in threads, in order; see `in_threads`."""
    return in_threads(faces, partial(prepare, encoder=encoder, views=views, crop_side=crop_side), workers)


def first_faces(faces: Sequence[FaceImage], encoder: Encoder, name: str) -> list[NDArray[np.uint8]]:
    """The first SAMPLE `faces` that can be read, as the encoder takes them. Raises FercacheError when none can."""
    prepared = (prepare(face, encoder) for face in faces)
    squares = list(islice((each.views[0] for each in prepared if isinstance(each, Prepared)), SAMPLE))
    if not squares:
        some = [each for each in (prepare(face, encoder) for face in faces[:3]) if isinstance(each, Quarantined)]
        reasons = ", ".join(f"{each.id} ({each.reason})" for each in some)
        raise FercacheError(f"{name}: none of the {len(faces)} images can be read: {reasons} ...")
    return squares
