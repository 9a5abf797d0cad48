"""A photograph is decoded once for its faces, and never shown for another one."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from fercache.images import photographs
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
