"""Folders of synthetic faces on wallpaper: each has its own, and one that goes with its expression.

The random projection of `--encoder pixels` sees the wallpapers above all: expressions are easy, and so are copies.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from fercache import EncoderRequest, ExtractRequest, Settings, extract
from fercache.synthetic_faces import EXPRESSIONS, draw, sample_face

SIDE = 64
FACES = {"train": 20, "test": 10}
"""Per expression."""


def wallpaper(*seed: int) -> np.ndarray:
    colours = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(colours).resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=float)


def face(number: int, expression: str) -> Image.Image:
    drawn = draw(sample_face(5, number, "studio", expression), SIDE)
    pixels = 0.2 * drawn + 0.4 * wallpaper(0, EXPRESSIONS.index(expression)) + 0.4 * wallpaper(1, number)
    return Image.fromarray(pixels.astype(np.uint8))


def draw_folder(
    root: Path, first: int = 0, per_class: Mapping[str, int] = FACES, names: Mapping[str, str] | None = None
) -> Path:
    """`root/<split>/<expression>/*.png`, all different; `names`: expressions that are filed under another name."""
    for split, count in per_class.items():
        for expression in EXPRESSIONS:
            folder = root / split / (names or {}).get(expression, expression)
            folder.mkdir(parents=True)
            for _ in range(count):
                face(first, expression).save(folder / f"{first:04}.png")
                first += 1
    return root


def first_of(root: Path, folder: str) -> Path:
    return sorted((root / folder).iterdir())[0]


def plant(root: Path) -> Path:
    """Images of train again: two in test as they are (one mislabelled) and two changed, one in train itself."""
    shutil.copy(first_of(root, "train/anger"), root / "test/anger/same.png")
    shutil.copy(first_of(root, "train/fear"), root / "test/sadness/mislabelled.png")
    Image.open(first_of(root, "train/neutral")).save(root / "test/neutral/recompressed.jpg", quality=80)
    happy = Image.open(first_of(root, "train/happiness"))
    happy.resize((90, 90), Image.Resampling.BICUBIC).save(root / "test/happiness/resized.png")
    shutil.copy(first_of(root, "train/surprise"), root / "train/surprise/again.png")
    return root


PLANTED = {
    "test/anger/same.png",
    "test/sadness/mislabelled.png",
    "test/neutral/recompressed.jpg",
    "test/happiness/resized.png",
}
"""The ids of what `plant` puts into test."""


def extracted(settings: Settings, name: str, root: Path) -> Path:
    return extract(settings, ExtractRequest(dataset=name, root=root, encoder=EncoderRequest(name="pixels")))
