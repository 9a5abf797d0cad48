"""Any image that Pillow opens -> 8-bit RGB as the file intends: depth, black and white, transparency, profile.

An image that comes out dark, inverted or blank would still be encoded; such files are read correctly or refused.
"""

import io
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageCms, features

from fercache.errors import FercacheError

LEAST_OF_16_BITS = 1 << 12
"""A 16-bit image with a lower brightest value holds 8, 10 or 12 bits, and would be black."""
LARGEST_PROFILE = 2**20
"""Bytes."""
MOST_SHIFT = 40
"""A colour profile that moves greys by less (of 255) is ignored, as Adobe RGB and Display P3 are."""
_MIN_IS_WHITE, _PHOTOMETRIC = 0, 262
_SCREEN_GAMMA, _USUAL_GAMMAS = 0.45455, (0.35, 0.65)


class Unreadable(FercacheError):  # noqa: N818 - describes the image
    """An image that cannot be used; the text is the reason in the quarantine list."""


def as_rgb(image: Image.Image, opened: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of an `image` that was `opened` from a file, and possibly turned or cropped since.

    16 bits become their upper 8; transparency becomes white. A profile or gamma is applied only if it changes
    brightness considerably. Raises Unreadable.
    """
    format, info = opened.format, opened.info
    if image.mode.startswith("I;16") or (image.mode == "I" and format in ("PNG", "PPM")):
        return _repeated(_upper_bits(np.clip(np.asarray(image), 0, 65_535), _is_inverted(opened)))
    if image.mode in ("I", "F"):
        raise Unreadable("32-bit pixels without a known white level; convert it to 8 bits")
    if image.mode == "CMYK" and format == "JPEG" and "adobe" not in info:
        image = ImageChops.invert(image)  # Pillow treats every CMYK JPEG as Adobe's inverted ones
    if image.has_transparency_data:
        image = _on_white(image.convert("RGBA"))
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    if "icc_profile" in info:
        image = _by_profile(image, info["icc_profile"])
    pixels = np.asarray(image)
    if "icc_profile" not in info and "srgb" not in info:
        pixels = _by_gamma(pixels, info.get("gamma"))
    return _repeated(pixels) if pixels.ndim == 2 else np.array(pixels)


def _is_inverted(image: Image.Image) -> bool:
    """Whether 0 is white, which Pillow respects up to 8 bits only."""
    tags: Any = getattr(image, "tag_v2", {})
    return bool(tags.get(_PHOTOMETRIC) == _MIN_IS_WHITE)


def _upper_bits(values: NDArray[Any], inverted: bool) -> NDArray[np.integer[Any]]:
    brightest = int(values.max())
    if 0 < brightest < LEAST_OF_16_BITS:
        raise Unreadable(
            f"16-bit pixels no brighter than {brightest:,} of 65,535, so fewer bits are in use; convert it to 8 bits"
        )
    upper: NDArray[np.integer[Any]] = values >> 8
    return 255 - upper if inverted else upper


def _on_white(image: Image.Image) -> Image.Image:
    if image.getchannel("A").getextrema()[1] == 0:
        raise Unreadable("wholly transparent")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    transform = _transform(profile, image.mode) if len(profile) <= LARGEST_PROFILE else None
    if transform is None:
        return image
    found = ImageCms.applyTransform(image, transform)
    return image if found is None else found


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """A transform to sRGB if the profile makes a grey much darker or brighter than sRGB does, else None."""
    if not features.check("littlecms2"):
        return None
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    try:
        screen = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(ImageCms.ImageCmsProfile(io.BytesIO(profile)), screen, mode, "RGB")
        found = ImageCms.applyTransform(ramp.convert(mode), transform)
    except (ImageCms.PyCMSError, OSError, ValueError):  # damaged, or for another kind of image
        return None
    moved = np.abs(np.asarray(found, dtype=int) - np.arange(256)[None, :, None]).max()
    return transform if moved > MOST_SHIFT else None


def _by_gamma(pixels: NDArray[np.uint8], gamma: object) -> NDArray[np.uint8]:
    """Applies the gamma of a PNG: linear light, for example, would be dark."""
    least, most = _USUAL_GAMMAS
    if not isinstance(gamma, float) or not 0 < gamma < 10 or least <= gamma <= most:
        return pixels
    levels = np.linspace(0, 1, 256) ** (_SCREEN_GAMMA / gamma)
    return (255 * levels).round().astype(np.uint8)[pixels]


def _repeated(intensity: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    return np.repeat(intensity.astype(np.uint8)[:, :, None], 3, axis=2)
