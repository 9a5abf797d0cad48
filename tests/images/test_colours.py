"""Files whose numbers are not what their format promises: read as meant, or refused, never dark or inverted."""

import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, features

from fercache.images.colours import LEAST_OF_16_BITS, Unreadable
from fercache.images.decode import decode
from tests.images.test_decode import image, png, saved, scanlines

Pixels = NDArray[np.uint8]
FACE = image(3)
GREY = np.linspace(10, 250, FACE[:, :, 0].size).astype(np.uint8).reshape(FACE.shape[:2])
AS_RGB = np.repeat(GREY[:, :, None], 3, axis=2)


def tiff(values: NDArray[np.integer], photometric: int) -> bytes:
    """One strip of 16-bit grey, which Pillow writes with 0 as black only."""
    height, width = values.shape
    data = values.astype("<u2").tobytes()
    entries = ((256, width), (257, height), (258, 16), (259, 1), (262, photometric), (273, 8), (277, 1), (278, height))
    entries += ((279, len(data)),)
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    header = b"II*\0" + struct.pack("<I", 8 + len(data))
    return header + data + struct.pack("<H", len(entries)) + directory + bytes(4)


def profile(gamma: float) -> bytes:
    """That of sRGB with another curve."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    place = data.index(b"para")
    while place >= 0:
        data[place + 8 : place + 16] = struct.pack(">HHI", 0, 0, round(gamma * 65_536))
        place = data.find(b"para", place + 1)
    return bytes(data)


@pytest.mark.parametrize("photometric", [0, 1], ids=["white-is-0", "black-is-0"])
def test_16_bits_are_never_inverted(photometric: int) -> None:
    values = GREY.astype(np.uint16) * 257
    assert (decode(tiff(values if photometric else 65_535 - values, photometric)) == AS_RGB).all()


@settings(max_examples=30, deadline=None)
@given(bits=st.integers(8, 16), format=st.sampled_from(["PNG", "TIFF"]))
def test_16_bits_that_hold_fewer_are_refused_and_not_dark(bits: int, format: str) -> None:
    values = GREY.astype(np.uint16) * 257 >> 16 - bits
    data = saved(Image.fromarray(values), format)
    if values.max() < LEAST_OF_16_BITS:
        with pytest.raises(Unreadable, match=f"16-bit pixels no brighter than {values.max():,} of 65,535.*convert it"):
            decode(data)
    else:
        assert decode(data).max() >= LEAST_OF_16_BITS >> 8


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_what_is_wholly_transparent_is_refused_and_not_white(format: str) -> None:
    clear = Image.fromarray(np.dstack([FACE, np.zeros(FACE.shape[:2], np.uint8)]))
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    with pytest.raises(Unreadable, match="wholly transparent"):
        decode(saved(clear, format, **options))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_without_a_white_are_refused(mode: str) -> None:
    with pytest.raises(Unreadable, match="without a known white level; convert it to 8 bits"):
        decode(saved(Image.fromarray(GREY).convert(mode), "TIFF"))


@pytest.mark.parametrize(
    ("chunks", "brighter"),
    [
        ({"gAMA": struct.pack(">I", 100_000)}, True),  # linear light
        ({"gAMA": struct.pack(">I", 45_455)}, False),
        ({"gAMA": struct.pack(">I", 55_556)}, False),  # old Macintosh: near enough
        ({"gAMA": struct.pack(">I", 0)}, False),
        ({"sRGB": b"\0", "gAMA": struct.pack(">I", 100_000)}, False),  # sRGB wins, by the format's definition
    ],
)
def test_linear_light_is_not_dark(chunks: dict[str, bytes], brighter: bool) -> None:
    height, width, _ = FACE.shape
    found = decode(png(width, height, 8, 2, scanlines(FACE), **chunks))
    expected = np.round(255 * (FACE / 255) ** 0.45455) if brighter else FACE
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(("gamma", "brighter"), [(1.0, True), (2.2, False), (1.8, False)])
def test_a_profile_that_moves_brightness_is_applied(format: str, gamma: float, brighter: bool) -> None:
    options = {"lossless": True} if format == "WEBP" else {"quality": 100, "subsampling": 0} if format == "JPEG" else {}
    plain = decode(saved(Image.fromarray(FACE), format, **options))
    found = decode(saved(Image.fromarray(FACE), format, icc_profile=profile(gamma), **options))
    if brighter:
        assert found.mean() > plain.mean() + 20
    else:
        assert (found == plain).all()


@pytest.mark.parametrize("damaged", [b"", b"x", b"\0" * 500, profile(1.0)[:200]], ids=["empty", "x", "zeros", "cut"])
def test_a_damaged_profile_leaves_the_pixels_alone(damaged: bytes) -> None:
    assert (decode(saved(Image.fromarray(FACE), "PNG", icc_profile=damaged)) == FACE).all()


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read() -> None:
    assert np.abs(decode(saved(Image.fromarray(FACE), "AVIF", quality=100)).astype(int) - FACE).mean() < 4


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("HEIC photograph", lambda: b"\0\0\0\x18ftypheic" + bytes(100)),
        ("a video", lambda: b"\0\0\0\x18ftypisom" + bytes(100)),
    ],
)
def test_what_phones_make_is_called_by_its_name(name: str, make: Callable[[], bytes]) -> None:
    with pytest.raises(Unreadable, match=name):
        decode(make())
