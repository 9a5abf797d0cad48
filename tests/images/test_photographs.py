"""A photograph is decoded once for its faces, never shown for another one, and not copied for each face."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from fercache.images import alignment, photographs
from fercache.images.alignment import TEMPLATE, Alignment, FoundFace
from fercache.images.colours import Unreadable
from fercache.images.decode import decode
from fercache.images.photographs import decode_photograph


def png(number: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((30, 40, 3), number, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """The files that are decoded."""
    seen: list[bytes] = []

    def counting(data: bytes) -> np.ndarray:
        seen.append(data)
        return decode(data)

    monkeypatch.setattr(photographs, "decode", counting)
    monkeypatch.setattr(photographs, "_last", photographs._Last())
    yield seen


def test_once_for_consecutive_faces(decoded: list[bytes]) -> None:
    for number in (1, 1, 1, 2, 2, 1):
        assert (decode_photograph(bytes(bytearray(png(number)))) == number).all()
    assert decoded == [png(1), png(2), png(1)]


def test_pixels_and_large_photographs_are_not_kept(decoded: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs, "KEPT", 30 * 40 - 1)
    pixels = np.full((4, 4, 3), 9, np.uint8)
    for data in (png(1), png(1), pixels, pixels):
        decode_photograph(data)
    assert len(decoded) == 4


def test_a_damaged_photograph_is_unreadable_each_time(decoded: list[bytes]) -> None:
    for data in (b"", b"no image", b"no image"):
        with pytest.raises(Unreadable):
            decode_photograph(data)
    assert len(decoded) == 3


NOISE = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
places, sides = st.floats(-40, 120), st.floats(3, 80)


@settings(max_examples=40, deadline=None)
@example(x=49.0, y=0.0, side=61.0, angle=None, margin=0.28125)
@given(x=places, y=places, side=sides, angle=st.none() | st.floats(0, 6.3), margin=st.floats(0, 0.5))
def test_a_crop_is_that_of_the_whole_photograph(
    x: float, y: float, side: float, angle: float | None, margin: float
) -> None:
    """Although only the part around the face is handed to Pillow; also beyond the edges, and turned."""
    turn = side * np.array([[np.cos(angle or 0), -np.sin(angle or 0)], [np.sin(angle or 0), np.cos(angle or 0)]])
    points = tuple((float(a), float(b)) for a, b in TEMPLATE @ turn.T + (x, y)) if angle is not None else ()
    face = FoundFace((x, y, x + side, y + side), landmarks=points)
    part = Alignment(margin).crop(NOISE, face)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "_around", lambda image, square: (image, np.zeros(2)))
        whole = Alignment(margin).crop(NOISE, face)
    assert part.shape == whole.shape
    apart = np.abs(part.astype(int) - whole)  # coordinates from another origin round otherwise, seldom
    assert apart.max() <= 1 and (apart > 0).sum() <= 2 + apart.size / 1000
