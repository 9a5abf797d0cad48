"""Backgrounds: clouds, stripes, tiles and leaves, in random colours."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Pixels = NDArray[np.uint8]
Drawing = Callable[[np.random.Generator, int, int], NDArray[np.float64]]


def draw_texture(kind: int, random: np.random.Generator, width: int, height: int) -> Pixels:
    """(height, width, 3): texture number `kind`, modulo their number, with grain."""
    pattern = TEXTURES[kind % len(TEXTURES)](random, width, height)
    first, second = random.uniform(30, 225, (2, 3))
    pixels = first + (second - first) * pattern[..., None] + random.normal(0, 5, (height, width, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _clouds(random: np.random.Generator, width: int, height: int) -> NDArray[np.float64]:
    """Noise of several wavelengths, 0 to 1."""
    total = np.zeros((height, width))
    for octave in range(2, 7):
        coarse = random.random((2**octave, 2**octave)).astype(np.float32)
        grown = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(grown) / 2 ** (octave - 2)
    return (total - total.min()) / np.ptp(total)


def _stripes(random: np.random.Generator, width: int, height: int) -> NDArray[np.float64]:
    turn, wavelength = random.uniform(0, np.pi), random.uniform(20, 90)
    y, x = np.mgrid[:height, :width]
    bent = _clouds(random, width, height) * random.uniform(0, 6)
    return 0.5 + 0.5 * np.sin((x * np.cos(turn) + y * np.sin(turn)) * 2 * np.pi / wavelength + bent)


def _tiles(random: np.random.Generator, width: int, height: int) -> NDArray[np.float64]:
    """Bricks with joints, each of its own shade."""
    across, down = random.integers(30, 90), random.integers(18, 50)
    y, x = np.mgrid[:height, :width]
    row = y // down
    column = (x + row % 2 * across // 2) // across
    shades = random.random((height // 18 + 2, width // 30 + 3))
    joint = ((y % down) < 3) | (((x + row % 2 * across // 2) % across) < 3)
    return np.where(joint, 0.1, 0.4 + 0.6 * shades[row, column])


def _leaves(random: np.random.Generator, width: int, height: int) -> NDArray[np.float64]:
    """Ellipses of all sizes, one over another."""
    image = Image.new("L", (width, height), 90)
    pen = ImageDraw.Draw(image)
    for _ in range(max(1, width * height // 900)):
        x, y, wide, high = random.uniform(0, width), random.uniform(0, height), *random.uniform(6, 60, 2)
        pen.ellipse((x, y, x + wide, y + high), fill=int(random.integers(256)))
    return np.asarray(image) / 255.0


TEXTURES: tuple[Drawing, ...] = (_clouds, _stripes, _tiles, _leaves)
