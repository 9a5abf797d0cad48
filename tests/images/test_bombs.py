"""Files made to use up memory or time are left out before a pixel is decoded; ordinary ones are not touched."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from fercache.images import bombs
from fercache.images.colours import Unreadable
from fercache.images.decode import decode
from tests.images.test_decode import image


def encoded(format: str, size: tuple[int, int] = (20, 28), **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image(1)).resize(size).save(stream, format, **options)
    return stream.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_many_chunks() -> bytes:
    """Two million empty ones between the header and the pixels."""
    whole = encoded("PNG")
    return whole[:33] + chunk(b"tEXt", b"a\0") * 2_000_000 + whole[33:]


def jpeg_of_many_scans() -> bytes:
    """Its last scan a thousand times."""
    whole = encoded("JPEG", (400, 400), progressive=True)
    scan = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + scan * 1_000 + whole[-2:]


def jpeg_of_few_bytes() -> bytes:
    """A small image whose header says 6,000 x 6,000."""
    whole = bytearray(encoded("JPEG"))
    place = whole.index(b"\xff\xc0") + 5
    whole[place : place + 4] = struct.pack(">HH", 6_000, 6_000)
    return bytes(whole)


def tiff_of_greedy_entries() -> bytes:
    """A thousand entries, each of which claims a megabyte of the same bytes."""
    entries = b"".join(struct.pack("<HHII", 40_000 + n, 1, 10**6, 8) for n in range(1_000))
    return b"II*\0" + struct.pack("<IH", 8, 1_000) + entries + bytes(10**6)


BOMBS = [png_of_many_chunks, jpeg_of_many_scans, jpeg_of_few_bytes, tiff_of_greedy_entries]
ORDINARY = [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("TIFF", {}), ("WEBP", {}), ("GIF", {})]


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.__name__)
def test_a_bomb_is_refused_at_once(bomb: object) -> None:
    assert callable(bomb)
    data, start = bomb(), time.process_time()
    with pytest.raises(Unreadable):
        decode(data)
    assert time.process_time() - start < 1.5, "it took the time that it was made to take"


@pytest.mark.parametrize(("format", "options"), ORDINARY)
def test_ordinary_images_pass(format: str, options: dict[str, object]) -> None:
    for size in ((1, 1), (64, 64), (900, 700)):
        assert decode(encoded(format, size, **options)).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("progressive", [False, True])
def test_the_emptiest_jpeg_there_is_passes(progressive: bool) -> None:
    stream = io.BytesIO()
    Image.new("L", (4_000, 3_000)).save(stream, "JPEG", optimize=True, progressive=progressive, quality=1)
    assert decode(stream.getvalue()).shape == (3_000, 4_000, 3)


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_orientation_is_what_pillow_reads(turned: int, format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    data = encoded(format, exif=exif)
    with Image.open(io.BytesIO(data)) as opened:
        stored = np.asarray(opened.convert("RGB")).shape[:2]
    assert decode(data).shape[:2] == (stored if turned < 5 else stored[::-1])
    assert bombs.orientation(exif.tobytes()) == turned
