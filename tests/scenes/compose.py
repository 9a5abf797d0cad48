"""Portraits on a texture, upright or turned, in bright or little light, partly covered or not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.scenes.portraits import Pixels, Portrait, resized
from tests.scenes.textures import draw_texture

WIDTH, HEIGHT = 960, 720
COLUMNS, ROWS = 4, 3
MOST_FACES = COLUMNS * ROWS
SIDES = (40, 80, 160)
"""Of portraits in a scene, in pixels, in turn."""
COVERED = 0.35
"""The share of a portrait's side that is covered, from below, from the left or from the right."""


@dataclass(frozen=True)
class Look:
    """How a scene is seen: portraits turned by `angle` degrees, one way or the other; `light` 1 is daylight."""

    angle: float = 0.0
    light: float = 1.0
    covered: bool = False


@dataclass(frozen=True)
class Truth:
    """A face in a scene: box (left, top, right, bottom) of the face, and of its portrait, in pixels."""

    box: tuple[float, float, float, float]
    portrait_box: tuple[float, float, float, float]
    angle: float
    portrait: Portrait

    @property
    def side(self) -> float:
        """Of the portrait."""
        return self.portrait_box[2] - self.portrait_box[0]


def compose(
    portraits: Sequence[Portrait], seed: int = 0, sides: Sequence[int] = SIDES, look: Look | None = None
) -> tuple[Pixels, list[Truth]]:
    """(HEIGHT, WIDTH, 3) uint8 with at most MOST_FACES portraits, none over another, and the truth of each in order."""
    look, random = look or Look(), np.random.default_rng(seed)
    if len(portraits) > MOST_FACES:
        raise ValueError(f"{len(portraits)} portraits; a scene has room for {MOST_FACES}")
    scene = Image.fromarray(draw_texture(seed, random, WIDTH, HEIGHT))
    cells = random.permutation(MOST_FACES)
    truths = []
    for number, (portrait, cell) in enumerate(zip(portraits, cells, strict=False)):
        truths.append(_place(scene, portrait, (sides[number % len(sides)], int(cell)), look=look, random=random))
    return _lit(np.asarray(scene), look.light, random), truths


def _place(
    scene: Image.Image, portrait: Portrait, where: tuple[int, int], *, look: Look, random: np.random.Generator
) -> Truth:
    """Paste a portrait of some side somewhere in a cell."""
    side, cell = where
    angle = look.angle * random.choice([-1, 1])
    tile = resized(portrait, side)
    if look.covered:
        _cover(tile, random)
    turned = tile.rotate(-angle, Image.Resampling.BICUBIC, expand=True)
    mask = Image.new("L", tile.size, 255).rotate(-angle, Image.Resampling.BICUBIC, expand=True)
    room = np.array([WIDTH / COLUMNS, HEIGHT / ROWS]) - turned.size
    corner = np.array([cell % COLUMNS, cell // COLUMNS]) * [WIDTH / COLUMNS, HEIGHT / ROWS] + random.uniform(0, room)
    left, top = map(int, corner)
    scene.paste(turned, (left, top), mask)
    middle = np.array([left, top]) + np.array(turned.size) / 2
    return Truth(_box(portrait.box, side, middle, angle), _box((0, 0, 1, 1), side, middle, 0.0), angle, portrait)


def _box(
    shares: tuple[float, float, float, float], side: int, middle: NDArray[np.float64], angle: float
) -> tuple[float, float, float, float]:
    """A box of a portrait in the scene: of the same size, around its turned middle."""
    start, end = np.array(shares[:2]), np.array(shares[2:])
    turn = np.radians(angle)
    offset = ((start + end) / 2 - 0.5) * side
    moved = middle + np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ offset
    (left, top), (right, bottom) = moved - (end - start) * side / 2, moved + (end - start) * side / 2
    return float(left), float(top), float(right), float(bottom)


def _cover(tile: Image.Image, random: np.random.Generator) -> None:
    """Paste cloth over one side of a portrait."""
    side, width = tile.width, round(COVERED * tile.width)
    cloth = Image.fromarray(draw_texture(int(random.integers(99)), random, side, side))
    edges = {
        "bottom": (0, side - width, side, side),
        "left": (0, 0, width, side),
        "right": (side - width, 0, side, side),
    }
    box = edges[str(random.choice(list(edges)))]
    tile.paste(cloth.crop(box), box)


def _lit(pixels: Pixels, light: float, random: np.random.Generator) -> Pixels:
    """In little light an image is darker, and noisy."""
    if light == 1.0:
        return pixels
    noise = random.normal(0, 4, pixels.shape)
    return np.clip(pixels * light + noise + 0.5, 0, 255).astype(np.uint8)
