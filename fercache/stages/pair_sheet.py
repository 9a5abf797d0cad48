"""A picture of pairs that an audit takes for one picture, so that a person can see whether they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fercache import registry
from fercache.datasets import DatasetName, FaceImage
from fercache.extraction.decode import Unreadable, decode
from fercache.settings import Settings
from fercache.store.tables import FeatureTable

SIDE, GAP, CAPTION, ACROSS = 96, 14, 36, 4
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
    shown = [*pairs[:EACH], *pairs[EACH:][-EACH:]]
    roots = {str(name.whole): _root(settings, name, table) for name, table in tables.items()}
    wanted = {picture for one, other, _ in shown for picture in (one, other)}
    faces = {name: _faces(name, roots[name], {p.id for p in wanted if p.dataset == name}) for name in roots}
    drawn = [(pair, [_pixels(faces[picture.dataset].get(picture.id)) for picture in pair[:2]]) for pair in shown]
    if not any(picture is not None for _, pictures in drawn for picture in pictures):
        path.unlink(missing_ok=True)
        return None
    rows = -(-len(shown) // ACROSS)
    width, height = GAP + ACROSS * (2 * SIDE + 2 * GAP), GAP + rows * (SIDE + CAPTION + GAP)
    sheet = Image.new("RGB", (width, height), "white")
    for number, (pair, pictures) in enumerate(drawn):
        row, column = divmod(number, ACROSS)
        _draw_pair(sheet, GAP + column * (2 * SIDE + 2 * GAP), GAP + row * (SIDE + CAPTION + GAP), pair, pictures)
    sheet.save(path, format="PNG")
    return path


def _draw_pair(sheet: Image.Image, x: int, y: int, pair: Pair, pictures: Sequence[NDArray[np.uint8] | None]) -> None:
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for place, (picture, pixels) in enumerate(zip(pair[:2], pictures, strict=True)):
        at = (x + place * (SIDE + 2), y)
        if pixels is not None:
            sheet.paste(Image.fromarray(pixels).resize((SIDE, SIDE)), at)
        else:
            pen.rectangle((*at, at[0] + SIDE - 1, at[1] + SIDE - 1), fill="lightgrey")
        pen.text((at[0], y + SIDE + 2), picture.label or "no label", "black", font)
    places = " / ".join(dict.fromkeys(picture.dataset for picture in pair[:2]))
    pen.text((x, y + SIDE + 17), f"{pair[2]:.2f}  {places}", "dimgrey", font)


def _root(settings: Settings, name: DatasetName, table: FeatureTable) -> Path | None:
    extracted_from = table.provenance.get("root")
    return settings.root_of(str(name.clean)) or (Path(extracted_from) if extracted_from else None)


def _faces(name: str, root: Path | None, ids: set[str]) -> dict[str, FaceImage]:
    parsed = DatasetName.parse(name)
    dataset = registry.load("datasets", parsed.family)
    if not ids or (dataset.needs_root and (root is None or not root.exists())):
        return {}
    return {face.id: face for face in dataset.faces(root, parsed.domain) if face.id in ids}


def _pixels(face: FaceImage | None) -> NDArray[np.uint8] | None:
    try:
        return None if face is None else decode(face.read(), face.box)
    except (Unreadable, OSError):
        return None
