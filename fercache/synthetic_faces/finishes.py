"""The effects of a camera, a pencil or a press, the last step of each style: pixels (S, S, 3) in 0..255."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fercache.synthetic_faces.anatomy import Face
from fercache.synthetic_faces.canvas import Pixels
from fercache.synthetic_faces.geometry import product


def ink(*channels: float) -> Pixels:
    """One colour, or factors for the three channels, (3,)."""
    return np.array(channels, dtype=np.float32)


LUMA = ink(0.299, 0.587, 0.114)
WARM_OR_COLD = (ink(0.86, 0.98, 0.8), ink(0.3, 0.09, 0.3))
MOONLIGHT = ink(0.62, 0.86, 1.22)
NEWSPRINT = ink(240, 232, 214)
PRINTING_INKS = (ink(28, 28, 32), ink(30, 50, 120), ink(130, 24, 40), ink(20, 84, 60))
CLAYS = (ink(214, 132, 96), ink(176, 168, 158), ink(122, 150, 168), ink(196, 170, 120))
POSTER_INKS = (
    np.stack([ink(24, 30, 66), ink(196, 48, 56), ink(242, 158, 78), ink(252, 240, 208)]),
    np.stack([ink(36, 18, 56), ink(28, 122, 130), ink(136, 198, 150), ink(250, 244, 220)]),
    np.stack([ink(20, 20, 24), ink(120, 40, 120), ink(236, 120, 150), ink(255, 232, 200)]),
)

HEAT = np.stack([ink(8, 8, 60), ink(96, 12, 130), ink(214, 60, 70), ink(250, 176, 40), ink(255, 252, 214)])


def grain(random: np.random.Generator, shape: tuple[int, ...], strength: float) -> Pixels:
    """Noise with standard deviation `strength`: the sum of two uniform numbers, close enough to a Gaussian."""
    noise: Pixels = random.random(shape, dtype=np.float32) + random.random(shape, dtype=np.float32) - np.float32(1.0)
    noise *= np.float32(strength * 6**0.5)
    return noise


def grey(image: Pixels) -> Pixels:
    """The brightness (S, S)."""
    return product(image, LUMA[:, None])[..., 0]


def coloured(brightness: Pixels, colour: Pixels) -> Pixels:
    """A grey image (S, S) in shades of one colour (3,)."""
    return brightness[..., None] * colour


@lru_cache(maxsize=8)
def ramp(size: int) -> Pixels:
    """From -1 at the left or top to 1 at the right or bottom, (S,)."""
    return np.linspace(-1.0, 1.0, size, dtype=np.float32)


def lit(image: Pixels, light: tuple[float, float]) -> Pixels:
    """Light from one side: brighter towards `light`, darker away from it."""
    across, down = np.array(light, dtype=np.float32)
    position = ramp(len(image))
    factor = 1.0 + across * np.tanh(2.0 * position)[None, :] + down * position[:, None]
    result: Pixels = image * np.maximum(factor, np.float32(0.08))[..., None]
    return result


def as_image(image: Pixels) -> Image.Image:
    """The pixels as a Pillow image."""
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))


def blurred(image: Pixels, radius: float) -> Pixels:
    """A blurred image."""
    return np.asarray(as_image(image).filter(ImageFilter.BoxBlur(radius)), dtype=np.float32)


def resized(image: Pixels, size: int, how: Image.Resampling) -> Pixels:
    """The image at `size` x `size` pixels."""
    return np.asarray(as_image(image).resize((size, size), how), dtype=np.float32)


@lru_cache(maxsize=1)
def cosines() -> Pixels:
    """The matrix (8, 8) of the discrete cosine transform."""
    frequency, place = np.arange(8)[:, None], np.arange(8)[None, :]
    matrix = np.cos(np.pi * (2 * place + 1) * frequency / 16) * np.where(frequency == 0, np.sqrt(1 / 8), 0.5)
    return matrix.astype(np.float32)


def compressed(image: Pixels, step: float) -> Pixels:
    """Coarsely quantised 8 x 8 cosine blocks, as in JPEG; `step` is that of the finest frequency."""
    size = len(image)
    margin = -size % 8
    padded = np.pad(image, ((0, margin), (0, margin), (0, 0)), mode="edge")
    count = len(padded) // 8
    blocks = padded.reshape(count, 8, count, 8, 3).transpose(0, 2, 4, 1, 3)
    transform, order = cosines(), np.arange(8)
    steps = (step * (0.35 + 0.65 * (order[:, None] + order[None, :]) / 14)).astype(np.float32)
    frequencies = np.rint(product(product(transform, blocks), transform.T) / steps) * steps
    restored = product(product(transform.T, frequencies), transform).transpose(0, 3, 1, 4, 2)
    return restored.reshape(size + margin, size + margin, 3)[:size, :size]


def studio(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """Even light and hardly any noise."""
    return lit(image, face.light) + grain(random, image.shape[:2], 2.0)[..., None]


def webcam(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """A cheap sensor: few pixels, a colour cast, noise and blocks."""
    size = len(image)
    cast: Pixels = WARM_OR_COLD[0] + WARM_OR_COLD[1] * random.random(3, dtype=np.float32)
    few = round(size * (0.42 + 0.16 * random.random()))
    small = resized(lit(image, face.light), few, Image.Resampling.BOX)
    small = 18.0 + 0.78 * cast * small
    small = small + grain(random, (few, few, 1), 7.0) + grain(random, (few, few, 3), 6.0)
    return resized(compressed(small, 55.0), size, Image.Resampling.BILINEAR)


def sketch(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """Graphite on rough paper: lines as drawn, surfaces hatched."""
    size = len(image)
    tone = 1.0 - grey(image) / np.float32(255.0)
    place = 48.0 * ramp(size)
    slope = np.float32(0.6 + 0.3 * random.random())
    hatching = 0.5 + 0.5 * np.sin(1.5 * (place[None, :] + slope * place[:, None]) + 2.0 * np.sin(0.11 * place)[:, None])
    tone = np.where(tone < 0.36, 1.9 * tone * hatching, tone)
    tooth = 0.7 + 0.55 * random.random((size, size), dtype=np.float32)
    paper = grain(random, (size, size), 3.5) + np.float32(238.0 - 10.0 * random.random())
    pressure: Pixels = np.minimum(tone * tooth, np.float32(1.0))
    return coloured(paper - 200.0 * pressure, ink(1, 1, 1))


def night(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """Little, blueish light from one side and an amplified, noisy sensor."""
    brightness = 0.4 * grey(lit(image, face.light)) + grain(random, image.shape[:2], 8.0)
    return 6.0 + coloured(brightness, MOONLIGHT) + grain(random, image.shape, 4.0)


def cartoon(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """Flat, as drawn."""
    return image


def poster(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """Four inks by brightness."""
    inks = POSTER_INKS[int(random.integers(len(POSTER_INKS)))]
    level: NDArray[np.intp] = np.digitize(grey(lit(image, face.light)), (62.0, 118.0, 172.0))
    return inks[level]


def pastel(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """Chalk: pale, warm and soft."""
    return 92.0 + 0.64 * blurred(image, 0.6) + grain(random, image.shape[:2], 6.0)[..., None]


def mono(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """A photograph on black-and-white film with darkened corners."""
    position = ramp(len(image))
    corners = 1.08 - 0.25 * (position[None, :] ** 2 + position[:, None] ** 2)
    brightness = grey(blurred(lit(image, face.light), 0.5)) * corners
    return coloured(brightness + grain(random, brightness.shape, 7.0), ink(1, 1, 1))


def clay(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """Modelled in one material."""
    material = CLAYS[int(random.integers(len(CLAYS)))]
    relief = grey(blurred(lit(image, face.light), 0.7)) / np.float32(205.0)
    return coloured(relief, material) + grain(random, relief.shape, 2.0)[..., None]


def halftone(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """Dots of one ink on newsprint."""
    dye: Pixels = PRINTING_INKS[int(random.integers(len(PRINTING_INKS)))]
    place = np.float32(1.55 * 48.0) * ramp(len(image))
    screen = 0.5 + 0.25 * (np.cos(place[None, :] + place[:, None]) + np.cos(place[None, :] - place[:, None]))
    tone = 1.0 - np.clip(grey(lit(image, face.light)) / np.float32(235.0), 0.0, 1.0)
    cover = np.clip(0.5 + 3.0 * (1.15 * tone - screen), 0.0, 1.0)
    return NEWSPRINT + coloured(cover, dye - NEWSPRINT)


def watercolour(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """Thin paint that runs, in uneven washes on white paper."""
    size = len(image)
    washes: Pixels = resized(128.0 + grain(random, (6, 6, 3), 14.0), size, Image.Resampling.BICUBIC) / np.float32(128.0)
    thin = 70.0 + 0.76 * blurred(lit(image, face.light), 0.8)
    painted: Pixels = 255.0 - (255.0 - thin) * washes + grain(random, image.shape[:2], 4.0)[..., None]
    return painted


def engraving(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """Lines cut into a plate, thick where it is dark."""
    place = np.float32(44.0) * ramp(len(image))
    bend = 1.6 * np.sin(2.2 * ramp(len(image)))
    screen = 0.5 + 0.5 * np.sin(2.0 * (place[:, None] + bend[None, :] + 0.35 * place[None, :]))
    tone = 1.0 - np.clip(grey(lit(image, face.light)) / np.float32(240.0), 0.0, 1.0)
    cover = np.clip(0.5 + 2.5 * (1.2 * tone - screen), 0.0, 1.0)
    lines: Pixels = cover.astype(np.float32)
    return 246.0 - coloured(218.0 * lines, ink(1, 1.02, 1.06))


def painting(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """Strokes of thick paint, each of one colour."""
    strokes = as_image(lit(image, face.light) + grain(random, image.shape, 10.0)).filter(ImageFilter.ModeFilter(3))
    canvas: Pixels = 1.0 + 0.05 * np.sin(60.0 * ramp(len(image)))[:, None, None]
    painted: Pixels = np.asarray(strokes, dtype=np.float32) * canvas
    return painted


def polaroid(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """Old colour film: pale shadows, a cast, dark corners."""
    position = ramp(len(image))
    corners = 1.05 - 0.18 * (position[None, :] ** 2 + position[:, None] ** 2)
    cast = ink(1.04, 0.96, 0.8) + ink(0.1, 0.08, 0.16) * random.random(3, dtype=np.float32)
    faded = 40.0 + 0.76 * cast * blurred(lit(image, face.light), 0.4)
    return faded * corners[..., None] + grain(random, image.shape[:2], 6.0)[..., None]


def pixels(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """Squares of few colours."""
    few = round(len(image) * (0.4 + 0.25 * random.random()))
    small = resized(lit(image, face.light), few, Image.Resampling.BOX)
    return resized(24.0 * np.rint(small / 24.0), len(image), Image.Resampling.NEAREST)


def thermal(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """Brightness in the colours of heat."""
    warmth = grey(blurred(lit(image, face.light), 0.7)) + grain(random, image.shape[:2], 6.0)
    place = np.clip(warmth / np.float32(255.0), 0.0, 0.999) * (len(HEAT) - 1)
    below = place.astype(np.intp)
    share = (place - below)[..., None]
    glow: Pixels = (1.0 - share) * HEAT[below] + share * HEAT[below + 1]
    return glow
