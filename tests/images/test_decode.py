import io
import struct
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageChops

from fercache.images import decode as room
from fercache.images.colours import Unreadable
from fercache.images.decode import decode, looks_like_no_face

Pixels = NDArray[np.uint8]
FEW = settings(max_examples=50, deadline=None)


def image(seed: int) -> Pixels:
    """Smooth colours, so that lossy formats keep them; no two seeds alike; higher than wide."""
    random = np.random.default_rng(seed)
    corners = random.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(corners).resize((20, 28), Image.Resampling.BILINEAR))


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def grey_of(pixels: Pixels) -> Pixels:
    return pixels[:, :, 0]


def as_rgb(grey: Pixels) -> Pixels:
    return np.repeat(grey[:, :, None], 3, axis=2)


def png(width: int, height: int, depth: int, colour: int, raw: bytes, **chunks: bytes) -> bytes:
    """A PNG by hand: what Pillow does not write (16-bit RGB, false sizes)."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))]
    parts += [chunk(name.encode(), body) for name, body in chunks.items()]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")])


def scanlines(samples: NDArray[np.generic]) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in samples)


# Odd but valid: each gives a file's bytes and the pixels that it shows.


def rgb(pixels: Pixels) -> tuple[bytes, Pixels]:
    return saved(Image.fromarray(pixels), "PNG"), pixels


def grey(pixels: Pixels) -> tuple[bytes, Pixels]:
    return saved(Image.fromarray(grey_of(pixels)), "PNG"), as_rgb(grey_of(pixels))


def grey_16_bit(pixels: Pixels) -> tuple[bytes, Pixels]:
    return saved(Image.fromarray(grey_of(pixels).astype(np.uint16) * 257), "PNG"), as_rgb(grey_of(pixels))


def grey_16_bit_tiff(pixels: Pixels) -> tuple[bytes, Pixels]:
    return saved(Image.fromarray(grey_of(pixels).astype(np.uint16) * 256 + 77), "TIFF"), as_rgb(grey_of(pixels))


def grey_16_bit_pgm(pixels: Pixels) -> tuple[bytes, Pixels]:
    samples = grey_of(pixels).astype(">u2") * 257
    return f"P5 {samples.shape[1]} {samples.shape[0]} 65535\n".encode() + samples.astype(">u2").tobytes(), as_rgb(
        grey_of(pixels)
    )


def rgb_16_bit(pixels: Pixels) -> tuple[bytes, Pixels]:
    samples = (pixels.astype(np.uint16) * 257).astype(">u2")
    return png(pixels.shape[1], pixels.shape[0], 16, 2, scanlines(samples)), pixels


def one_bit(pixels: Pixels) -> tuple[bytes, Pixels]:
    bits = Image.fromarray(grey_of(pixels)).convert("1", dither=Image.Dither.NONE)
    return saved(bits, "PNG"), as_rgb(np.where(grey_of(pixels) > 127, 255, 0).astype(np.uint8))


def palette(pixels: Pixels) -> tuple[bytes, Pixels]:
    few = Image.fromarray(pixels).quantize(16)
    return saved(few, "PNG"), np.asarray(few.convert("RGB"))


def palette_with_transparency(pixels: Pixels) -> tuple[bytes, Pixels]:
    few = Image.fromarray(pixels).quantize(16)
    shown = np.array(few.convert("RGB"))
    shown[np.asarray(few) == 3] = 255
    return saved(few, "PNG", transparency=3), shown


def transparent_colour(pixels: Pixels) -> tuple[bytes, Pixels]:
    key = int(pixels[5, 5, 0])
    shown = np.where(grey_of(pixels) == key, 255, grey_of(pixels)).astype(np.uint8)
    return saved(Image.fromarray(grey_of(pixels)), "PNG", transparency=key), as_rgb(shown)


def half_transparent(pixels: Pixels) -> tuple[bytes, Pixels]:
    alpha = np.full((*pixels.shape[:2], 1), 255, dtype=np.uint8)
    alpha[:10] = 0
    return saved(Image.fromarray(np.concatenate([pixels, alpha], axis=2)), "PNG"), np.where(
        alpha == 0, 255, pixels
    ).astype(np.uint8)


def grey_with_alpha(pixels: Pixels) -> tuple[bytes, Pixels]:
    alpha = np.full((*pixels.shape[:2], 1), 255, dtype=np.uint8)
    return saved(Image.fromarray(np.concatenate([pixels[:, :, :1], alpha], axis=2)), "PNG"), as_rgb(grey_of(pixels))


def cmyk_tiff(pixels: Pixels) -> tuple[bytes, Pixels]:
    return saved(Image.fromarray(pixels).convert("CMYK"), "TIFF"), pixels


def webp(pixels: Pixels) -> tuple[bytes, Pixels]:
    return saved(Image.fromarray(pixels), "WEBP", lossless=True), pixels


def bmp(pixels: Pixels) -> tuple[bytes, Pixels]:
    return saved(Image.fromarray(pixels), "BMP"), pixels


def ppm(pixels: Pixels) -> tuple[bytes, Pixels]:
    return saved(Image.fromarray(pixels), "PPM"), pixels


def animated_webp(pixels: Pixels) -> tuple[bytes, Pixels]:
    frames = [Image.fromarray(p) for p in (pixels, 255 - pixels)]
    return saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True), pixels


def animated_gif(pixels: Pixels) -> tuple[bytes, Pixels]:
    frames = [Image.fromarray(p).quantize(64) for p in (pixels, 255 - pixels)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:]), np.asarray(frames[0].convert("RGB"))


def tiff_of_two_pages(pixels: Pixels) -> tuple[bytes, Pixels]:
    pages = [Image.fromarray(p) for p in (pixels, 255 - pixels)]
    return saved(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw"), pixels


TURNED: dict[int, Callable[[Pixels], Pixels]] = {  # how a camera stores an upright image, by orientation
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p),
    7: lambda p: np.rot90(p[:, ::-1], -1),
    8: lambda p: np.rot90(p, -1),
}


def turned(pixels: Pixels, orientation: int, format: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(
        Image.fromarray(np.ascontiguousarray(TURNED[orientation](pixels))), format, exif=exif.tobytes(), quality=97
    )


def turned_png(pixels: Pixels) -> tuple[bytes, Pixels]:
    return turned(pixels, 6, "PNG"), pixels


EXACT = (
    rgb,
    grey,
    grey_16_bit,
    grey_16_bit_tiff,
    grey_16_bit_pgm,
    rgb_16_bit,
    one_bit,
    palette,
    palette_with_transparency,
    transparent_colour,
    half_transparent,
    grey_with_alpha,
    cmyk_tiff,
    webp,
    bmp,
    ppm,
    animated_webp,
    animated_gif,
    tiff_of_two_pages,
    turned_png,
)


def jpeg(pixels: Pixels) -> tuple[bytes, Pixels]:
    return saved(Image.fromarray(pixels), "JPEG", quality=95), pixels


def progressive_jpeg(pixels: Pixels) -> tuple[bytes, Pixels]:
    return saved(Image.fromarray(pixels), "JPEG", quality=95, progressive=True), pixels


def adobe_cmyk_jpeg(pixels: Pixels) -> tuple[bytes, Pixels]:
    data = saved(Image.fromarray(pixels).convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data
    return data, pixels


def plain_cmyk_jpeg(pixels: Pixels) -> tuple[bytes, Pixels]:
    """Without Adobe's marker, and therefore without its inversion."""
    data = saved(ImageChops.invert(Image.fromarray(pixels).convert("CMYK")), "JPEG", quality=95)
    start = data.index(b"\xff\xee")
    return data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4], "big") :], pixels


def turned_jpeg(pixels: Pixels) -> tuple[bytes, Pixels]:
    return turned(pixels, 8, "JPEG"), pixels


LOSSY = (jpeg, progressive_jpeg, adobe_cmyk_jpeg, plain_cmyk_jpeg, turned_jpeg)


# Damaged: each gives unreadable bytes, and a word of the reason.


def random_bytes(pixels: Pixels) -> bytes:
    return b"\0" + pixels.tobytes()


def broken_checksum(pixels: Pixels) -> bytes:
    data = bytearray(rgb(pixels)[0])
    data[data.index(b"IDAT") + 8] ^= 255
    return bytes(data)


DAMAGED: tuple[tuple[Callable[[Pixels], bytes], str], ...] = (
    (lambda p: b"", "zero bytes"),
    (lambda p: jpeg(p)[0][:300], "truncated|damaged"),
    (lambda p: progressive_jpeg(p)[0][: len(progressive_jpeg(p)[0]) // 2], "truncated|damaged"),
    (lambda p: rgb(p)[0][:-40], "truncated|damaged"),
    (lambda p: rgb(p)[0][:20], "truncated|damaged"),
    (lambda p: webp(p)[0][:40], "damaged"),
    (lambda p: bmp(p)[0][:100], "truncated|damaged"),
    (lambda p: ppm(p)[0][:100], "truncated|damaged"),
    (lambda p: tiff_of_two_pages(p)[0][:16], "damaged"),
    (lambda p: b"Bitte nicht l\xc3\xb6schen: Notizen zu den Bildern.\r\n", "text"),
    (lambda p: b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "text"),
    (lambda p: b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "SVG"),
    (random_bytes, "none of"),
    (lambda p: bytes(1000), "none of"),
    (lambda p: b"PK\x03\x04" + p.tobytes(), "none of"),
    (lambda p: png(60_000, 60_000, 8, 2, bytes(1000)), "megapixels"),
    (lambda p: png(12_000, 12_000, 8, 0, bytes(1000)), "144000000|12000 x 12000"),
    (lambda p: png(100_000, 40, 8, 0, bytes(100_001 * 40)), "100000 x 40 pixels"),
    (lambda p: b"P5 9000 9000 255\n" + bytes(100), "9000 x 9000"),
    (lambda p: b"P3 2000 2000 255\n" + b"0 " * 1000, "2000 x 2000"),
    (broken_checksum, "damaged"),
    (lambda p: png(20, 28, 8, 2, scanlines(p), zTXt=b"note\0\0" + zlib.compress(bytes(2**24))), "damaged"),
    (lambda p: saved(Image.fromarray(grey_of(p).astype(np.float32) / 255), "TIFF"), "32-bit"),
    (lambda p: saved(Image.fromarray(p), "ICO"), "none of"),
)


def test_fifty_damaged_among_five_hundred() -> None:
    files: list[tuple[bytes, Pixels | None, float]] = []
    for number in range(500):
        pixels = image(number)
        if number % 10 == 3:
            files.append((DAMAGED[number // 10 % len(DAMAGED)][0](pixels), None, 0))
        elif number % 5 == 0:
            files.append((*LOSSY[number // 5 % len(LOSSY)](pixels), 4))
        else:
            files.append((*EXACT[number % len(EXACT)](pixels), 0))
    unreadable = 0
    for data, expected, tolerance in files:
        try:
            found = decode(data)
        except Unreadable:
            unreadable += 1
            assert expected is None
            continue
        assert expected is not None
        assert found.shape == expected.shape
        assert np.abs(found.astype(int) - expected).mean() <= tolerance
    assert unreadable == 50


@pytest.mark.parametrize("kind", EXACT, ids=lambda kind: kind.__name__)
def test_lossless_files_are_read_exactly(kind: Callable[[Pixels], tuple[bytes, Pixels]]) -> None:
    data, expected = kind(image(7))
    found = decode(data)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    assert found.flags.writeable
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("kind", LOSSY, ids=lambda kind: kind.__name__)
def test_lossy_files_are_read_nearly(kind: Callable[[Pixels], tuple[bytes, Pixels]]) -> None:
    data, expected = kind(image(8))
    assert np.abs(decode(data).astype(int) - expected).mean() < 4


@pytest.mark.parametrize(("damage", "reason"), DAMAGED)
def test_damaged_files_say_why(damage: Callable[[Pixels], bytes], reason: str) -> None:
    data = damage(image(9))
    start = time.thread_time()
    with pytest.raises(Unreadable, match=reason) as error:
        decode(data)
    assert time.thread_time() - start < 1
    text = str(error.value)
    assert text.isprintable()
    assert len(text) < 150
    assert "0x" not in text, "the reason must be the same in every run"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", list(TURNED))
def test_every_orientation_comes_out_upright(orientation: int, format: str) -> None:
    found = decode(turned(image(4), orientation, format))
    assert found.shape == image(4).shape
    assert np.abs(found.astype(int) - image(4)).mean() < 6


@pytest.mark.parametrize("exif", [b"not a TIFF header", b"MM\0*\0\0\0\x08\xff\xff\x01\x12"])
def test_damaged_metadata_leave_the_pixels_alone(exif: bytes) -> None:
    data = png(20, 28, 8, 2, scanlines(image(1)), eXIf=exif)
    assert np.array_equal(decode(data), image(1))


def test_the_box_crops_the_upright_image_and_is_clipped() -> None:
    pixels = image(2)
    for data in (rgb(pixels)[0], turned_png(pixels)[0], pixels):
        assert np.array_equal(decode(data, (3, 5, 11, 20)), pixels[5:20, 3:11])
        assert np.array_equal(decode(data, (-4, 20, 900, 900)), pixels[20:])


@pytest.mark.parametrize("box", [(20, 0, 30, 5), (5, 5, 5, 9), (9, 9, 3, 12), (-9, -9, 0, 4)])
def test_an_empty_box_is_unreadable(box: tuple[int, int, int, int]) -> None:
    for data in (rgb(image(2))[0], image(2)):
        with pytest.raises(Unreadable, match="holds no pixel"):
            decode(data, box)


def test_a_strip_is_no_face_however_it_comes_about() -> None:
    for size, box in (((1, 101), None), ((20_200, 200), None), ((300, 300), (5, 0, 7, 300))):
        with pytest.raises(Unreadable, match="a strip of"):
            decode(saved(Image.new("L", size), "PNG"), box)
    assert decode(saved(Image.new("L", (1, 100)), "PNG")).shape == (100, 1, 3)


def test_memory_that_is_short_is_not_the_images_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(room, "as_rgb", fail)
    with pytest.raises(MemoryError):
        decode(rgb(image(0))[0])


def test_arrays_are_taken_as_they_are() -> None:
    pixels = image(3)
    found = decode(pixels)
    assert np.array_equal(found, pixels)
    assert not np.shares_memory(found, pixels)
    for wrong in (grey_of(pixels), pixels.astype(np.float32), pixels[:0], pixels[:, :, :2]):
        with pytest.raises(Unreadable, match="not an \\(H, W, 3\\) uint8 image"):
            decode(wrong)


def test_large_images_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LARGE", 100)
    running, most = [0], [0]
    convert = room.as_rgb

    def watched(image: Image.Image, format: str | None) -> Pixels:
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.005)
        running[0] -= 1
        return convert(image, format)

    monkeypatch.setattr(room, "as_rgb", watched)
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(decode, [rgb(image(1))[0]] * 8))) == 8
    assert most[0] == 1


def _holds(data: bytes) -> None:
    """Either three channels of at least one pixel, or Unreadable, and nothing else."""
    try:
        pixels = decode(data)
    except Unreadable:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.size


MAGIC = (
    b"",
    b"\xff\xd8\xff\xe0",
    b"\x89PNG\r\n\x1a\n",
    b"BM",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"P6 ",
    b"RIFF\x40\0\0\0WEBPVP8 ",
)


@FEW
@given(magic=st.sampled_from(MAGIC), rest=st.binary(max_size=400))
def test_no_bytes_raise_anything_else(magic: bytes, rest: bytes) -> None:
    _holds(magic + rest)


@FEW
@given(kind=st.sampled_from(EXACT + LOSSY), kept=st.floats(0, 1))
def test_no_truncation_raises_anything_else(kind: Callable[[Pixels], tuple[bytes, Pixels]], kept: float) -> None:
    data, _ = kind(image(5))
    _holds(data[: int(len(data) * kept)])


@FEW
@given(
    kind=st.sampled_from(EXACT + LOSSY), flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(1, 255)), max_size=5)
)
def test_no_flipped_byte_raises_anything_else(
    kind: Callable[[Pixels], tuple[bytes, Pixels]], flips: list[tuple[float, int]]
) -> None:
    data = bytearray(kind(image(6))[0])
    for place, bits in flips:
        data[int(place * len(data))] ^= bits
    _holds(bytes(data))


@pytest.mark.parametrize(
    ("width", "height", "word"),
    [
        (48, 48, None),
        (100, 140, None),
        (2000, 1500, None),
        (600, 100, "very wide"),
        (100, 600, "very tall"),
        (4000, 3000, "very large"),
    ],
)
def test_what_looks_like_no_face_is_described(width: int, height: int, word: str | None) -> None:
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[0, 0] = 200
    found = looks_like_no_face(pixels)
    assert found is None if word is None else word in (found or "")


@pytest.mark.parametrize(("level", "word"), [(0, "is dark"), (63, "is dark"), (128, "a single colour")])
def test_an_image_on_which_nothing_can_be_seen_is_described(level: int, word: str) -> None:
    assert word in (looks_like_no_face(np.full((48, 48, 3), level, np.uint8)) or "")
