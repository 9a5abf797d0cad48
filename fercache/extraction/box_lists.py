"""Boxes of faces that a user lists, from any detector: `image,left,top,right,bottom[,score][,landmarks]`."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from fercache.errors import UsageError
from fercache.images.alignment import EDGES, FoundFace, Points
from fercache.layouts.own_lists import NOT_GIVEN, named_rows
from fercache.layouts.remote import exists, local, shown

OTHER_NAMES = {"image": ("path", "file_name", "filename", "file")}
NUMBERS = 10
"""Of landmarks: x and y of five points."""


def read_boxes(path: Path) -> Mapping[str, Sequence[FoundFace]]:
    """Image, as in the dataset's ids -> its faces, in the list's order. Raises UsageError with the line."""
    if not exists(path):
        raise UsageError(
            f"--faces {shown(path)}: there is no such list. Expected the columns image, {', '.join(EDGES)}."
        )
    boxes: dict[str, list[FoundFace]] = {}
    for line, cells in named_rows(local(path), ("image", *EDGES), OTHER_NAMES):
        try:
            boxes.setdefault(cells["image"].replace("\\", "/").removeprefix("./"), []).append(_face(cells))
        except UsageError as error:
            raise UsageError(f"{shown(path)}, line {line}: {error}") from None
    return boxes


def _face(cells: Mapping[str, str]) -> FoundFace:
    left, top, right, bottom = (_number(cells[edge], edge) for edge in EDGES)
    if left >= right or top >= bottom:
        raise UsageError("the box is empty: left must be less than right, and top less than bottom.")
    score, points = (cells.get(name, "") for name in ("score", "landmarks"))
    return FoundFace(
        (left, top, right, bottom),
        1.0 if score.lower() in NOT_GIVEN else _number(score, "score"),
        () if points.lower() in NOT_GIVEN else _landmarks(points),
    )


def _landmarks(text: str) -> Points:
    numbers = [
        _number(number, "landmarks") for number in text.replace(",", " ").replace(";", " ").strip("[]() ").split()
    ]
    if len(numbers) != NUMBERS:
        raise UsageError(
            f"the landmarks are {len(numbers)} numbers. Write {NUMBERS}: x y of eyes, nose, mouth corners."
        )
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _number(text: str, column: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{column} is '{text}', not a number.")
    return number
