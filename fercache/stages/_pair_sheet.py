"""A sheet of image pairs that an audit takes for copies, to be checked by eye."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.images.colours import Unreadable
from fercache.loading.originals import faces_with
from fercache.settings import Settings
from fercache.store.atomic import replacing
from fercache.store.tables import FeatureTable

SIDE, GAP, CAPTION, HEADING, ACROSS = 96, 14, 50, 44, 4
EACH = 12
"""Number of pairs shown of the closest ones, and of those just above the threshold."""


@dataclass(frozen=True)
class LabelledImage:
    """An image by its dataset and id, with its label."""

    dataset: str
    id: str
    label: str


Pair = tuple[LabelledImage, LabelledImage, float]


def write_pair_sheet(
    path: Path, settings: Settings, pairs: Sequence[Pair], tables: Mapping[DatasetName, FeatureTable]
) -> Path | None:
    """Writes the first and the last EACH of `pairs` as a PNG; None without pairs or readable images.

    Reads the images from the dataset's root in `fercache.toml`, else from the root it was extracted from.
    """
    distinct = _distinct(pairs)
    groups = {"closest pairs": distinct[:EACH], "pairs just above the threshold": distinct[EACH:][-EACH:]}
    shown = [pair for group in groups.values() for pair in group]
    pixels = _read_images(settings, tables, {image for pair in shown for image in pair[:2]})
    if not pixels:
        path.unlink(missing_ok=True)
        return None
    width, row = GAP + ACROSS * (2 * SIDE + 2 * GAP), SIDE + CAPTION + GAP
    rows = {title: -(-len(group) // ACROSS) for title, group in groups.items() if group}
    sheet = Image.new("RGB", (width, sum(HEADING + count * row for count in rows.values())), "white")
    top = 0
    for title, count in rows.items():
        ImageDraw.Draw(sheet).text((GAP, top + GAP), title, "black", ImageFont.load_default(14))
        for number, pair in enumerate(groups[title]):
            x, y = GAP + number % ACROSS * (2 * SIDE + 2 * GAP), top + HEADING + number // ACROSS * row
            _draw_pair(sheet, x, y, pair=pair, pixels=pixels)
        top += HEADING + count * row
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")
    return path


def _distinct(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs whose images are in no earlier pair: of an image with five copies, one pair is enough."""
    shown: set[LabelledImage] = set()
    kept = []
    for pair in pairs:
        if shown.isdisjoint(pair[:2]):
            kept.append(pair)
            shown.update(pair[:2])
    return kept


def _read_images(
    settings: Settings, tables: Mapping[DatasetName, FeatureTable], wanted: set[LabelledImage]
) -> dict[LabelledImage, NDArray[np.uint8]]:
    """The pixels of the `wanted` images that can be read."""
    found = {}
    for name, table in tables.items():
        here = {image.id: image for image in wanted if image.dataset == str(name.whole)}
        with suppress(UsageError, OSError):  # the dataset is no longer there
            for face in faces_with(here, name, settings=settings, tables=[table]):
                with suppress(Unreadable, OSError):
                    found[here[face.id]] = face.pixels(face.read())
    return found


def _draw_pair(
    sheet: Image.Image, x: int, y: int, pair: Pair, pixels: Mapping[LabelledImage, NDArray[np.uint8]]
) -> None:
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for place, image in enumerate(pair[:2]):
        at = (x + place * (SIDE + 2), y)
        if image in pixels:
            sheet.paste(Image.fromarray(pixels[image]).resize((SIDE, SIDE)), at)
        else:
            pen.rectangle((*at, at[0] + SIDE - 1, at[1] + SIDE - 1), fill="lightgrey")
        pen.text((at[0], y + SIDE + 2), image.label or "no label", "black", font)
        pen.text((at[0], y + SIDE + 16), image.id[-16:], "dimgrey", font)
    datasets = " / ".join(dict.fromkeys(image.dataset for image in pair[:2]))
    pen.text((x, y + SIDE + 30), f"{pair[2]:.2f}  {datasets}", "dimgrey", font)
