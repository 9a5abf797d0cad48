"""Any picture that Pillow opens -> 8-bit RGB as its file means it: depth, black and white, transparency, profile.

What is silently dark, inverted or blank would still be encoded: such files are read right, or refused with a reason.
"""

import io
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageCms, features

from fercache.errors import FercacheError

LEAST_OF_16_BITS = 1 << 12
"""A 16-bit picture whose brightest value is less holds 8, 10 or 12 bits, and would be black."""
LARGEST_PROFILE = 2**20
"""Bytes."""
MOST_SHIFT = 40
"""Levels of 255 by which a colour profile may move a grey and be left out, as Adobe RGB and Display P3 are."""
_MIN_IS_WHITE, _PHOTOMETRIC = 0, 262
_SCREEN_GAMMA, _USUAL_GAMMAS = 0.45455, (0.35, 0.65)


class Unreadable(FercacheError):  # noqa: N818 - it says what the image is
    """An image that cannot be used; the text is the reason given in the quarantine list."""


def as_rgb(picture: Image.Image, opened: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of a `picture` that was `opened` from a file, and perhaps turned or cropped since.

    16 bits become their upper 8; transparency lies on white. A profile or gamma is applied where it changes brightness
    much; others are left out, as is usual for faces. Raises Unreadable.
    """
    format, info = opened.format, opened.info
    if picture.mode.startswith("I;16") or (picture.mode == "I" and format in ("PNG", "PPM")):
        return _repeated(_upper_bits(np.clip(np.asarray(picture), 0, 65_535), _is_inverted(opened)))
    if picture.mode in ("I", "F"):
        raise Unreadable("32-bit pixels, of which it is not known what is white; convert it to 8 bits")
    if picture.mode == "CMYK" and format == "JPEG" and "adobe" not in info:
        picture = ImageChops.invert(picture)  # Pillow takes every CMYK JPEG for one of Adobe's, which store the inverse
    if picture.has_transparency_data:
        picture = _on_white(picture.convert("RGBA"))
    if picture.mode not in ("L", "RGB"):
        picture = picture.convert("RGB")
    if "icc_profile" in info:
        picture = _by_profile(picture, info["icc_profile"])
    pixels = np.asarray(picture)
    if "icc_profile" not in info and "srgb" not in info:
        pixels = _by_gamma(pixels, info.get("gamma"))
    return _repeated(pixels) if pixels.ndim == 2 else np.array(pixels)


def _is_inverted(picture: Image.Image) -> bool:
    """Whether 0 is white, which Pillow minds up to 8 bits only."""
    tags: Any = getattr(picture, "tag_v2", {})
    return bool(tags.get(_PHOTOMETRIC) == _MIN_IS_WHITE)


def _upper_bits(values: NDArray[Any], inverted: bool) -> NDArray[np.integer[Any]]:
    brightest = int(values.max())
    if 0 < brightest < LEAST_OF_16_BITS:
        raise Unreadable(
            f"16-bit pixels that end at {brightest:,} of 65,535, so fewer bits are in use; convert it to 8 bits"
        )
    upper: NDArray[np.integer[Any]] = values >> 8
    return 255 - upper if inverted else upper


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.getchannel("A").getextrema()[1] == 0:
        raise Unreadable("wholly transparent")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def _by_profile(picture: Image.Image, profile: bytes) -> Image.Image:
    transform = _transform(profile, picture.mode) if len(profile) <= LARGEST_PROFILE else None
    if transform is None:
        return picture
    found = ImageCms.applyTransform(picture, transform)
    return picture if found is None else found


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """To sRGB, where the profile makes some grey much darker or brighter than sRGB does; None for any other."""
    if not features.check("littlecms2"):
        return None
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    try:
        screen = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(ImageCms.ImageCmsProfile(io.BytesIO(profile)), screen, mode, "RGB")
        found = ImageCms.applyTransform(ramp.convert(mode), transform)
    except (ImageCms.PyCMSError, OSError, ValueError):  # damaged, or of another kind of picture
        return None
    moved = np.abs(np.asarray(found, dtype=int) - np.arange(256)[None, :, None]).max()
    return transform if moved > MOST_SHIFT else None


def _by_gamma(pixels: NDArray[np.uint8], gamma: object) -> NDArray[np.uint8]:
    """Of a PNG that holds, say, linear light, which would be dark."""
    least, most = _USUAL_GAMMAS
    if not isinstance(gamma, float) or not 0 < gamma < 10 or least <= gamma <= most:
        return pixels
    levels = np.linspace(0, 1, 256) ** (_SCREEN_GAMMA / gamma)
    return (255 * levels).round().astype(np.uint8)[pixels]


def _repeated(intensity: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    return np.repeat(intensity.astype(np.uint8)[:, :, None], 3, axis=2)
