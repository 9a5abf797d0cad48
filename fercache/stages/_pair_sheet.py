"""A picture of pairs that an audit takes for one picture, so that a person can see whether they are."""

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
from fercache.loading.originals import faces_with, known_root
from fercache.settings import Settings
from fercache.store.atomic import replacing
from fercache.store.tables import FeatureTable

SIDE, GAP, CAPTION, HEADING, ACROSS = 96, 14, 50, 44, 4
EACH = 12
"""Pairs that are shown of the closest ones, and of those that only just count."""


@dataclass(frozen=True)
class Picture:
    """A face by its set and id, and what its label says."""

    dataset: str
    id: str
    label: str


Pair = tuple[Picture, Picture, float]


def write_pair_sheet(
    path: Path, settings: Settings, pairs: Sequence[Pair], tables: Mapping[DatasetName, FeatureTable]
) -> Path | None:
    """The first EACH of `pairs` and the last ones, as PNG; None where there are none, or no picture can be found.

    Pictures are read from where the set lies now (`fercache.toml`), or lay when it was extracted.
    """
    distinct = _distinct(pairs)
    groups = {"the closest pairs": distinct[:EACH], "pairs that only just count": distinct[EACH:][-EACH:]}
    shown = [pair for group in groups.values() for pair in group]
    pixels = _read_pictures(settings, tables, {picture for pair in shown for picture in pair[:2]})
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
    """The pairs whose pictures are in none before: of a picture that is there five times one pair tells enough."""
    shown: set[Picture] = set()
    kept = []
    for pair in pairs:
        if shown.isdisjoint(pair[:2]):
            kept.append(pair)
            shown.update(pair[:2])
    return kept


def _read_pictures(
    settings: Settings, tables: Mapping[DatasetName, FeatureTable], wanted: set[Picture]
) -> dict[Picture, NDArray[np.uint8]]:
    """Those of the wanted pictures that can be found and read."""
    found = {}
    for name, table in tables.items():
        here = {picture.id: picture for picture in wanted if picture.dataset == str(name.whole)}
        with suppress(UsageError, OSError):  # the set does not lie there any more
            for face in faces_with(here, name, known_root(settings, name, [table])):
                with suppress(Unreadable, OSError):
                    found[here[face.id]] = face.pixels(face.read())
    return found


def _draw_pair(sheet: Image.Image, x: int, y: int, pair: Pair, pixels: Mapping[Picture, NDArray[np.uint8]]) -> None:
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for place, picture in enumerate(pair[:2]):
        at = (x + place * (SIDE + 2), y)
        if picture in pixels:
            sheet.paste(Image.fromarray(pixels[picture]).resize((SIDE, SIDE)), at)
        else:
            pen.rectangle((*at, at[0] + SIDE - 1, at[1] + SIDE - 1), fill="lightgrey")
        pen.text((at[0], y + SIDE + 2), picture.label or "no label", "black", font)
        pen.text((at[0], y + SIDE + 16), picture.id[-16:], "dimgrey", font)
    places = " / ".join(dict.fromkeys(picture.dataset for picture in pair[:2]))
    pen.text((x, y + SIDE + 30), f"{pair[2]:.2f}  {places}", "dimgrey", font)
