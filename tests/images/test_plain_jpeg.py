"""Plain files give Pillow's pixels to the bit; whatever is not plain is left to Pillow."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fercache.images.colours import Unreadable
from fercache.images.decode import LARGE, decode
from fercache.images.plain_jpeg import decode_plain


def jpeg(mode: str = "RGB", size: tuple[int, int] = (31, 17), seed: int = 0, **options: Any) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(stream, "JPEG", **options)
    return stream.getvalue()


@settings(max_examples=100, deadline=None)
@given(
    mode=st.sampled_from(["RGB", "L"]),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    quality=st.integers(1, 100),
    subsampling=st.sampled_from([0, 1, 2]),
    keep_rgb=st.booleans(),
    restart=st.sampled_from([0, 1, 3]),
    seed=st.integers(0, 1000),
)
def test_the_pixels_are_pillows(
    mode: str,
    size: tuple[int, int],
    quality: int,
    subsampling: int,
    keep_rgb: bool,
    restart: int,
    seed: int,
) -> None:
    options = {"keep_rgb": True} if keep_rgb and mode == "RGB" else {"subsampling": subsampling}
    data = jpeg(mode, size, seed, quality=quality, restart_marker_blocks=restart, **options)
    found = decode_plain(data, LARGE)
    assert found is not None
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))


def test_what_is_not_plain_is_left_to_pillow() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = jpeg()
    others = {
        "progressive": jpeg(progressive=True, size=(200, 200)),
        "metadata": jpeg(exif=exif),
        "CMYK": jpeg("CMYK"),
        "truncated": whole[: len(whole) // 2],
        "no JPEG": b"GIF89a" + whole,
        "nothing": b"",
        "only the marker": b"\xff\xd8\xff\xda",
    }
    assert {name: decode_plain(data, LARGE) for name, data in others.items()} == dict.fromkeys(others)
    assert decode_plain(whole, 31 * 17 - 1) is None
    assert decode_plain(whole, 31 * 17) is not None


def test_too_long_a_side_is_refused_by_either_decoder() -> None:
    with pytest.raises(Unreadable, match="30,000 pixels a side"):
        decode(jpeg("L", (40_000, 1)))


@settings(max_examples=300, deadline=None)
@given(place=st.floats(0, 1), value=st.integers(0, 255))
def test_a_flipped_byte_gives_what_pillow_gives(place: float, value: int) -> None:
    data = bytearray(jpeg(seed=5))
    data[int(place * (len(data) - 1))] = value
    found = decode_plain(bytes(data), LARGE)
    if found is not None:
        with Image.open(io.BytesIO(data)) as image:
            np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))
