"""Bytes of an image file -> RGB pixels.

The same image gives the same pixels from every lossless format. Bad files raise only `Unreadable`, in bounded memory:
sizes are checked before pixels are decoded, and large images are decoded one at a time.
"""

import re
import threading
import warnings
from contextlib import nullcontext
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError, features

from fercache.images import bombs
from fercache.images.colours import Unreadable, as_rgb
from fercache.images.plain_jpeg import decode_plain

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM", *(("AVIF",) if features.check("avif") else ()))
MAX_PIXELS = 50_000_000
MAX_PIXELS_AS_TEXT = 1_000_000
"""Most pixels of a PPM in text form: Pillow takes more than a second for each million."""
MAX_SIDE = 30_000
MAX_RATIO = 100
"""Most of longer side to shorter side: encoders enlarge the shorter one, so a strip would become gigabytes."""
LARGE = 4_000_000
"""Images with more pixels are decoded one at a time."""

WIDEST_FACE_CROP = 2.5
LARGEST_FACE_CROP = 2048
CROP = "crop the faces, extract with --faces, or list them with a `box` column"
DARK, FLAT = 64, 8
"""Of 255: brightest value and contrast below which a face is hardly visible. 14 bits in 16 end at 63."""

_PROFILE = "Raw profile type exif"
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f]")

_one_large_image = threading.Lock()

# Pillow's warnings would be printed between progress bars; the important ones become an `Unreadable`.
warnings.filterwarnings("ignore", module=r"PIL\.")

Box = tuple[int, int, int, int]


def decode(data: bytes | NDArray[np.uint8], box: Box | None = None) -> NDArray[np.uint8]:
    """The upright image as RGB (H, W, 3) uint8, writable and contiguous. `data` is a file's bytes, or pixels.

    The first frame or page is used; EXIF orientation is applied; for colours see `colours.as_rgb`. The image is cropped
    to `box` (left, top, right, bottom) in pixels of the upright image, clipped to it. Raises Unreadable for anything
    that does not give at least one pixel.
    """
    pixels = _pixels_of_array(data, box) if isinstance(data, np.ndarray) else _pixels_of_bytes(data, box)
    height, width, _ = pixels.shape
    if max(height, width) > MAX_RATIO * min(height, width):
        raise Unreadable(f"a strip of {width} x {height} pixels")
    return pixels


def _pixels_of_bytes(data: bytes, box: Box | None) -> NDArray[np.uint8]:
    if not data:
        raise Unreadable("zero bytes")
    try:
        return _pixels_of_file(data, box)
    except (Unreadable, MemoryError):  # a MemoryError is not the image's fault
        raise
    except UnidentifiedImageError:
        raise Unreadable(_what_else(data)) from None
    except Image.DecompressionBombError:
        raise Unreadable(f"more than {MAX_PIXELS // 1_000_000} megapixels") from None
    except Exception as error:  # decoders raise nearly everything on damaged data
        raise Unreadable(_damage(error)) from None


def looks_like_no_face(pixels: NDArray[np.uint8]) -> str | None:
    """Why `pixels` (H, W, 3) look like a photograph, a banner or a blank instead of a face; None if they do not."""
    height, width, _ = pixels.shape
    if max(height, width) > WIDEST_FACE_CROP * min(height, width):
        shape = "wide" if width > height else "tall"
        return f"is {width} x {height} pixels, very {shape} for a face; {CROP}"
    if min(height, width) > LARGEST_FACE_CROP:
        return f"is {width} x {height} pixels, very large for a face; {CROP}"
    least, most = int(pixels.min()), int(pixels.max())
    if most < DARK:
        return f"is dark: its brightest value is {most} of 255; check the bit depth of its file"
    if most - least < FLAT:
        return "has a single colour"
    return None


def _pixels_of_array(array: NDArray[np.uint8], box: Box | None) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise Unreadable(f"an array of shape {array.shape} and type {array.dtype} is not an (H, W, 3) uint8 image")
    return np.array(_inside(box, array), order="C")


def _inside(box: Box | None, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if box is None:
        return pixels
    left, top, right, bottom = _clip(box, pixels.shape[1], pixels.shape[0])
    return pixels[top:bottom, left:right]


def _pixels_of_file(data: bytes, box: Box | None) -> NDArray[np.uint8]:
    plain = decode_plain(data, LARGE)
    if plain is not None and max(plain.shape) <= MAX_SIDE:
        return np.ascontiguousarray(_inside(box, plain))
    bombs.check_entries(data)
    with bombs.opened(data) as stream, Image.open(stream, formats=FORMATS) as image:
        _refuse_bombs(image, data)
        bombs.now_pixels(stream)
        with _one_large_image if image.width * image.height > LARGE else nullcontext():
            image.load()
            upright = _upright(image)
            if box is not None:
                upright = upright.crop(_clip(box, upright.width, upright.height))
            return as_rgb(upright, image)


def _refuse_bombs(image: Image.Image, data: bytes) -> None:
    width, height = image.size
    most = MAX_PIXELS_AS_TEXT if data[:2] in (b"P1", b"P2", b"P3") else MAX_PIXELS
    if width * height > most or max(width, height) > MAX_SIDE:
        limits = f"{most // 1_000_000} megapixels or {MAX_SIDE:,} pixels a side"
        raise Unreadable(f"{width} x {height} pixels are more than {limits}")
    if image.format == "JPEG":
        bombs.check_density(width * height, data)
    if image.info.get("progressive"):
        bombs.check_scans(data)


def _upright(image: Image.Image) -> Image.Image:
    if not image.info:  # no metadata, so no orientation: searching costs a third of the time of a small image
        return image
    try:
        exif = _exif(image)
        orientation = bombs.orientation(exif) if exif else image.getexif().get(bombs.ORIENTATION)  # in TIFF or XMP
    except Exception:  # damaged metadata do not affect the pixels
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _exif(image: Image.Image) -> bytes:
    if _PROFILE in image.info:  # as text: older versions of ImageMagick write it into PNG
        return bytes.fromhex("".join(image.info[_PROFILE].split("\n")[3:]))
    return bytes(image.info.get("exif", b""))


def refuse_outside(box: tuple[float, float, float, float], pixels: NDArray[np.uint8]) -> None:
    """Raises Unreadable for a box that holds no pixel of an image (H, W, 3)."""
    left, top, right, bottom = box
    _clip((floor(left), floor(top), ceil(right), ceil(bottom)), pixels.shape[1], pixels.shape[0])


def _clip(box: Box, width: int, height: int) -> Box:
    left, top, right, bottom = max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height)
    if left >= right or top >= bottom:
        raise Unreadable(f"the box {' '.join(map(str, box))} holds no pixel of an image of {width} x {height}")
    return left, top, right, bottom


def _what_else(data: bytes) -> str:
    head = data[:512]
    if head[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc"):
        return "a HEIC photograph; convert it to JPEG"
    if head[4:8] == b"ftyp" and b"avif" not in head[8:32]:
        return "a video"
    if b"<svg" in head.lower():
        return "an SVG drawing"
    if not _NO_TEXT.search(head):
        return "text, not an image"
    return f"none of {', '.join(FORMATS)}, or damaged at its start"


def _damage(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "truncated" in text.lower():
        return "truncated"
    return f"damaged ({text[:100] or type(error).__name__})"
