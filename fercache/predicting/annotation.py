"""Images with a box and a label for each face."""

import importlib.util
import os
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fercache.images.colours import Unreadable
from fercache.images.decode import decode
from fercache.layouts.folders import read_plain
from fercache.output_paths import check_output_folder
from fercache.predicting.results import UNKNOWN, PredictedFace, PredictedImage
from fercache.store.atomic import replacing

ENDING = ".faces"
LEAST_SIDE, MOST_SIDE = 480, 4096
"""Pixels of the longer side: smaller images are enlarged, so that labels fit, and larger ones are reduced."""
LEAST_TEXT = 16
"""Height of text in pixels."""
QUALITY = 92
GREY = "#6b7280"
COLOURS = {
    "surprise": "#f59e0b",
    "fear": "#8b5cf6",
    "disgust": "#65a30d",
    "happiness": "#facc15",
    "sadness": "#2563eb",
    "anger": "#dc2626",
    "neutral": "#14b8a6",
    "contempt": "#db2777",
    UNKNOWN: GREY,
}
OTHERS = ("#f59e0b", "#2563eb", "#65a30d", "#dc2626", "#8b5cf6", "#14b8a6")
"""For sentences of the user's own, in their order."""

Rectangle = tuple[float, float, float, float]


class Annotations:
    """Annotated copies in a folder: `photo.jpg` becomes `photo.faces.jpg`, numbered where that name is taken.

    An input is never overwritten, nor is a copy made by the same object; copies of earlier runs are.
    """

    def __init__(self, folder: Path) -> None:
        """Raises UsageError if nothing can be written to `folder`; it need not exist yet."""
        check_output_folder(folder, "--draw")
        self.folder = folder
        self._taken: set[str] = set()

    def keep(self, inputs: Iterable[Path]) -> None:
        """Adds files that must not be overwritten."""
        self._taken |= {os.path.realpath(path) for path in inputs}

    def add(self, path: Path, image: PredictedImage) -> Path | None:
        """Writes a copy of the image at `path`; None without faces, and if it can no longer be read."""
        if not image.faces:
            return None
        try:
            pixels = decode(read_plain(str(path)))
        except (OSError, Unreadable):
            return None
        return self.write(path.stem or path.name, annotated(pixels, image.faces))

    def write(self, stem: str, image: Image.Image) -> Path:
        """Writes an image as `stem` and ENDING."""
        file = self._free(stem)
        with replacing(file) as temporary:
            image.save(temporary, "JPEG", quality=QUALITY, subsampling=0)
        return file

    def _free(self, stem: str) -> Path:
        file, number = self.folder / f"{stem}{ENDING}.jpg", 1
        while os.path.realpath(file) in self._taken:
            number += 1
            file = self.folder / f"{stem}{ENDING}-{number}.jpg"
        self._taken.add(os.path.realpath(file))
        return file


def annotated(pixels: NDArray[np.uint8], faces: Sequence[PredictedFace]) -> Image.Image:
    """A copy of an (H, W, 3) uint8 image with boxes and labels, `happiness 93%`; between LEAST_ and MOST_SIDE large."""
    longer = max(pixels.shape[:2])
    scale = min(max(longer, LEAST_SIDE), MOST_SIDE) / longer
    image = Image.fromarray(pixels)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.LANCZOS) if scale != 1 else image
    drawing = ImageDraw.Draw(image)
    height = text_height(size)
    boxes = [_scaled(face, scale, size) for face in faces]
    for face, box in zip(faces, boxes, strict=True):
        if face.box is not None:
            drawing.rectangle(box, outline=colour_of(face), width=max(2, height // 8))
    taken: list[Rectangle] = []
    for face, box in zip(faces, boxes, strict=True):
        taken.append(_label(drawing, face, box, height=height, taken=taken))
    return image


def text_height(size: tuple[int, int]) -> int:
    """Of labels in an image of this width and height, in pixels."""
    return max(LEAST_TEXT, round(min(max(size) / 40, min(size) / 20)))


def colour_of(face: PredictedFace) -> str:
    """The colour of a face's expression."""
    known = sorted(face.probabilities)
    other = OTHERS[known.index(face.expression) % len(OTHERS)] if face.expression in known else GREY
    return COLOURS.get(face.expression, other)


def _scaled(face: PredictedFace, scale: float, size: tuple[int, int]) -> Rectangle:
    left, top, right, bottom = (edge * scale for edge in face.box) if face.box else (0, 0, *size)
    width, height = size
    left, right = sorted((min(max(left, 0), width - 1), min(max(right, 0), width - 1)))
    top, bottom = sorted((min(max(top, 0), height - 1), min(max(bottom, 0), height - 1)))
    return left, top, right, bottom


def _label(
    drawing: ImageDraw.ImageDraw, face: PredictedFace, box: Rectangle, *, height: int, taken: Sequence[Rectangle]
) -> Rectangle:
    """Draws a label above the box, or where it hides no other label; returns its rectangle."""
    share = max(face.probabilities.values(), default=0.0)
    track = "" if face.track is None else f"{face.track}: "
    text, font = f"{track}{face.expression} {share:.0%}", _font(height)
    gap = max(2, height // 6)
    text, width = _fitting(text, font, drawing.im.size[0] - 2 * gap)
    size = (width + 2 * gap, height + 2 * gap)
    place = _place(size, box, drawing.im.size, taken=taken)
    colour = colour_of(face)
    drawing.rectangle(place, fill=colour)
    ink = "black" if _is_light(colour) else "white"
    drawing.text((place[0] + gap, (place[1] + place[3]) / 2), text, fill=ink, font=font, anchor="lm")
    return place


def _place(size: tuple[float, float], box: Rectangle, canvas: tuple[int, int], taken: Sequence[Rectangle]) -> Rectangle:
    """Above the box, below it, or inside at its top or bottom: the first that is in the image and hides no label."""
    width, height = size
    left = min(max(box[0], 0), max(canvas[0] - width, 0))
    tops = (box[1] - height, box[3], box[1], box[3] - height)
    inside = [min(max(top, 0), max(canvas[1] - height, 0)) for top in tops]
    places = [(left, top, left + width, top + height) for top in inside]
    fitting = [place for place, top in zip(places, tops, strict=True) if place[1] == top]
    free = (place for place in fitting + places if not any(_overlap(place, other) for other in taken))
    return next(free, places[0])


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _fitting(text: str, font: ImageFont.FreeTypeFont, most: float) -> tuple[str, float]:
    """The text, cut in its middle if it is wider than `most` pixels, and its width."""
    kept = text
    while (width := font.getlength(kept)) > most and len(text) > 8:
        text = text[: len(text) // 2 - 1] + text[len(text) // 2 + 1 :]
        kept = f"{text[: len(text) // 2]}…{text[len(text) // 2 :]}"
    return kept, width


def _is_light(colour: str) -> bool:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue > 120


@cache
def _font(height: int) -> ImageFont.FreeTypeFont:
    """Matplotlib's font, found without importing matplotlib: it has the letters of most languages."""
    spec = importlib.util.find_spec("matplotlib")
    folder = Path(str(spec.origin)).parent if spec else Path()
    return ImageFont.truetype(str(folder / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"), height)
