"""Image corruptions, each in five severities: domain gaps on real pixels without another download.

`ferplus+blur:3` is FERPlus with every image blurred at severity 3. A corruption is a function of the decoded, cropped
image alone: equal images are corrupted equally. Its random numbers are seeded by the pixels and the corruption's name,
so the severities of one image differ in strength only. Sizes are shares of the image.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fercache.errors import UsageError, nearest
from fercache.identity import pixel_hash, seed_from

Pixels = NDArray[np.uint8]
SEVERITIES = (1, 2, 3, 4, 5)
EVERY = "all"
GREY = 128
SHIFTED = "shift:4"
"""Corruptions of source validation for the selection policy `source-shifted`."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of corruption: the `meaning` of its `parameters` (one per severity), and its function."""

    meaning: str
    parameters: tuple[float, float, float, float, float]
    apply: Callable[[Pixels, float, np.random.Generator], Pixels]


@dataclass(frozen=True, slots=True)
class Corruption:
    """The name of a kind, and a severity from 1 to 5."""

    name: str
    severity: int

    def __call__(self, pixels: Pixels) -> Pixels:
        """A corrupted copy of `pixels` (H, W, 3), of the same size."""
        kind = KINDS[self.name]
        generator = np.random.default_rng(seed_from("corruption", self.name, pixel_hash(pixels).hex()))
        return kind.apply(pixels, self.parameter, generator)

    @property
    def parameter(self) -> float:
        """The parameter at this severity; see `Kind.meaning`."""
        return KINDS[self.name].parameters[self.severity - 1]

    def identity(self) -> dict[str, Any]:
        """Everything that changes the pixels."""
        return {"name": self.name, "severity": self.severity, "parameter": self.parameter, "version": 1}

    def __str__(self) -> str:
        return f"{self.name}:{self.severity}"


def corruptions(text: str) -> tuple[Corruption, ...]:
    """`blur:3` -> one; `blur` -> its five severities; `all` -> all severities of all kinds. Raises UsageError."""
    name, colon, severity = text.partition(":")
    if name not in KINDS and (name != EVERY or colon):
        raise UsageError(f"Unknown corruption '{name}'. {nearest(name, (*KINDS, EVERY))}")
    if colon and severity not in map(str, SEVERITIES):
        raise UsageError(f"'{text}': severities are 1 (weak) to 5 (strong), as in +{name}:3.")
    names = SCORED if name == EVERY else (name,)
    chosen = (int(severity),) if colon else SEVERITIES
    return tuple(Corruption(each, one) for each in names for one in chosen)


def _blur(pixels: Pixels, share: float, generator: np.random.Generator) -> Pixels:
    radius = share * min(pixels.shape[:2])
    return np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def _jpeg(pixels: Pixels, quality: float, generator: np.random.Generator) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=int(quality))
    return np.array(Image.open(stream).convert("RGB"))


def _dark(pixels: Pixels, stops: float, generator: np.random.Generator) -> Pixels:
    value = np.arange(256) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4) / 2**stops
    darker = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    table: Pixels = np.rint(255 * darker).astype(np.uint8)
    return np.asarray(table[pixels])


def _noise(pixels: Pixels, deviation: float, generator: np.random.Generator) -> Pixels:
    grain = generator.standard_normal(pixels.shape[:2])[:, :, None]  # the same in all channels: grey images stay grey
    return np.clip(np.rint(pixels + deviation * grain), 0, 255).astype(np.uint8)


def _occlusion(pixels: Pixels, share: float, generator: np.random.Generator) -> Pixels:
    size = np.array(pixels.shape[:2])
    extent = np.maximum(1, np.rint(np.sqrt(share) * size)).astype(int)
    top, left = np.rint(generator.random(2) * (size - extent)).astype(int)
    covered = pixels.copy()
    covered[top : top + extent[0], left : left + extent[1]] = GREY
    return covered


def _lowres(pixels: Pixels, side: float, generator: np.random.Generator) -> Pixels:
    height, width, _ = pixels.shape
    scale = side / min(height, width)
    if scale >= 1:
        return pixels.copy()
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = Image.fromarray(pixels).resize(small, Image.Resampling.BOX)
    return np.array(image.resize((width, height), Image.Resampling.BICUBIC))


def _shift(pixels: Pixels, strength: float, generator: np.random.Generator) -> Pixels:
    """Another camera and another detector: contrast, gamma, rotation, and a crop that is shifted and scaled."""
    contrast, gamma, angle, zoom, right, down = strength * generator.uniform(-1, 1, size=6)
    height, width, _ = pixels.shape
    scale = 1.4**zoom
    extent = np.array([width, height]) * scale
    left, top = (np.array([width, height]) * (1 + 0.3 * np.array([right, down])) - extent) / 2
    image = Image.fromarray(pixels).rotate(25 * angle, Image.Resampling.BILINEAR, fillcolor=(GREY, GREY, GREY))
    box = (left, top, left + extent[0], top + extent[1])
    moved = image.transform(
        (width, height), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR, fillcolor=(GREY, GREY, GREY)
    )
    value = np.asarray(moved, dtype=np.float64) / 255
    value = np.clip(0.5 + (value - 0.5) * 2.5**contrast, 0, 1) ** (2.5**gamma)
    shifted: Pixels = np.rint(255 * value).astype(np.uint8)
    return shifted


KINDS: Mapping[str, Kind] = {
    "blur": Kind("Gaussian blur, deviation as a share of the shorter side", (0.01, 0.02, 0.03, 0.045, 0.06), _blur),
    "jpeg": Kind("JPEG compression, quality", (40, 25, 15, 10, 5), _jpeg),
    "dark": Kind("less light, stops (halvings of linear light)", (1, 2, 3, 4, 5), _dark),
    "noise": Kind("Gaussian grain, deviation in grey levels of 255", (8, 16, 24, 36, 48), _noise),
    "occlusion": Kind("a grey rectangle at random, share of the area", (0.05, 0.1, 0.2, 0.3, 0.4), _occlusion),
    "lowres": Kind("fewer pixels, the shorter side reduced to", (32, 24, 16, 12, 8), _lowres),
    "shift": Kind("contrast, gamma, turn and crop at random, strength", (0.2, 0.4, 0.6, 0.8, 1), _shift),
}
SCORED = tuple(name for name in KINDS if name != "shift")
"""The kinds that `all` means: without `shift`, since a score on what selects epochs says nothing."""
