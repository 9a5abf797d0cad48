"""What every miniature is made of: noise images, odd files, and a note of what is in it."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.images.test_decode import adobe_cmyk_jpeg, grey, grey_16_bit, jpeg, progressive_jpeg, rgb

LISTS = Path(__file__).parent.parent / "lists"
KINDS = {".png": (rgb, grey, grey_16_bit, jpeg), ".jpg": (jpeg, progressive_jpeg, adobe_cmyk_jpeg)}
"""What hides behind a file's ending, in turn."""


def pixels(seed: int, height: int = 12, width: int = 10) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(array: NDArray[np.uint8], format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format)
    return stream.getvalue()


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def write_images(folder: Path, names: Sequence[str] | Mapping[str, object]) -> None:
    """Noise in every form in which datasets store images, together with system files."""
    for number, name in enumerate(names):
        kinds = KINDS[Path(name).suffix.lower()]
        write(folder / name, kinds[number % len(kinds)](pixels(number, 24, 20))[0])
    for parent in {(folder / name).parent for name in names}:
        write(parent / ".DS_Store", b"\0\1")
        write(parent / "Thumbs.db", b"\0\1")


def in_classes(splits: Iterable[str], classes: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """`<split>/<class folder>/<name>` -> the expression that the class folder stands for."""
    return {
        f"{split}/{folder}/{name}".lstrip("/"): expression
        for split in splits
        for folder, expression in classes.items()
        for name in names
    }
