"""Anybody's own images, listed in a CSV file: `path,label[,split][,subject][,box][,...]`. The root is that file."""

import csv
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from fercache.datasets import Dataset, FaceImage, face_file, split_name
from fercache.errors import UsageError, nearest
from fercache.expressions import EXPRESSIONS, canonical

NEEDED = ("path", "label")
OPTIONAL = ("split", "subject", "box")
SEPARATORS = ",;\t"
LABELS = ".labels.csv"

Box = tuple[int, int, int, int]


class Manifest(Dataset):
    """Paths are relative to the file and stay in its folder; an empty label is none; a box is "left top right bottom".

    Labels are expressions or their aliases; where they are something else, a file `NAME.labels.csv` beside `NAME.csv`
    says what they mean, in the columns label and expression (an empty one: no label).
    Every other column goes into the group as `column=value`. An image may have several lines, with different boxes.
    """

    expressions: ClassVar = EXPRESSIONS
    domains: ClassVar = None
    layout: ClassVar = (
        "a CSV file with the columns path and label, perhaps split, subject and box; any other goes into the group."
    )
    licence: ClassVar = "your own images"
    homepage: ClassVar = ""
    citation: ClassVar = ""

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """The lines in their order; the id is the path, and the box if it has one. Raises UsageError with the line."""
        if root is None or not root.is_file():
            raise self.refuse_root(f"{root or 'no root'} is not a file.")
        meaning = _read_meanings(root.with_suffix(LABELS))
        lines: dict[str, int] = {}
        any_there = False
        for line, cells in _rows(root):
            try:
                path = _inside(cells["path"], root.parent)
                face = _face(path, cells, root.parent, meaning)
            except UsageError as error:
                raise UsageError(f"{root}, line {line}: {error}") from None
            if face.id in lines:
                raise UsageError(
                    f"{root}: lines {lines[face.id]} and {line} are both {face.id}. Remove one, or give each a box."
                )
            lines[face.id] = line
            any_there = any_there or (root.parent / path).exists()
            yield face
        if not lines:
            raise UsageError(f"{root} lists no images: there is nothing below its header.")
        if not any_there:
            raise UsageError(
                f"{root}: none of its {len(lines)} images is there. Paths must be relative to {root.parent}."
            )


def _rows(path: Path, needed: Sequence[str] = NEEDED) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells by lower-case column name, one at a time."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            header = stream.readline()
            rows = csv.reader(stream, delimiter=_separator(header))
            names = _columns(header, path, needed)
            for cells in rows:
                line = rows.line_num + 1
                if not any(cells):
                    continue
                if len(cells) != len(names):
                    raise UsageError(f"{path}, line {line}: {len(cells)} cells, but the header has {len(names)}.")
                yield line, dict(zip(names, (cell.strip() for cell in cells), strict=True))
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text. Save it as CSV in UTF-8.") from None
    except csv.Error as error:
        raise UsageError(f"{path}, line {rows.line_num + 1}: {error}. Save it as plain CSV in UTF-8.") from None


def _separator(header: str) -> str:
    return max(SEPARATORS, key=header.count)


def _columns(header: str, path: Path, needed: Sequence[str]) -> list[str]:
    cells = next(csv.reader([header], delimiter=_separator(header)), [])
    names = [cell.strip().lower() for cell in cells]
    missing = [name for name in needed if name not in names]
    if missing:
        possible = f", possible {', '.join(OPTIONAL)}" if needed == NEEDED else ""
        raise UsageError(
            f"{path}: no column {' and no column '.join(missing)}. Needed are {', '.join(needed)}{possible}; "
            f"the first line has {', '.join(names) or 'nothing'}."
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UsageError(f"{path}: more than one column is called {', '.join(repeated)}.")
    return names


def _read_meanings(path: Path) -> dict[str, str | None] | None:
    """Label -> expression; None where there is no such file."""
    if not path.is_file():
        return None
    meanings: dict[str, str | None] = {}
    for line, cells in _rows(path, ("label", "expression")):
        try:
            meanings[cells["label"]] = canonical(cells["expression"]) if cells["expression"] else None
        except UsageError as error:
            raise UsageError(f"{path}, line {line}: {error}") from None
    return meanings


def _label(text: str, meaning: dict[str, str | None] | None) -> str | None:
    if not text:
        return None
    if meaning is None:
        return canonical(text)
    if text not in meaning:
        raise UsageError(f"the label '{text}' is not in the file of labels. {nearest(text, meaning)}")
    return meaning[text]


def _face(path: str, cells: dict[str, str], folder: Path, meaning: dict[str, str | None] | None) -> FaceImage:
    box = _box(cells.get("box", ""))
    # `;` parts the columns of a group, so it cannot stand in a value
    others = {name: cell.replace(";", ",") for name, cell in cells.items() if name not in NEEDED + OPTIONAL}
    return face_file(
        folder / path,
        folder,
        split_name(cells.get("split", "")),
        _label(cells["label"], meaning),
        id=path if box is None else f"{path}#{','.join(map(str, box))}",
        subject=cells.get("subject", ""),
        group=";".join(f"{name}={cell}" for name, cell in others.items()),
        box=box,
    )


def _inside(path: str, folder: Path) -> str:
    """`path` relative to `folder`, with slashes. Raises UsageError when it leads out; links are looked at when read."""
    if not path or "\0" in path:
        raise UsageError("the path is empty, or has a NUL character in it.")
    base = Path(os.path.normpath(folder.absolute()))
    full = Path(os.path.normpath(base / path.replace("\\", "/")))
    if base not in full.parents:
        raise UsageError(
            f"'{path}' is outside of {folder}. Paths must be relative to the file, and stay in its folder."
        )
    return full.relative_to(base).as_posix()


def _box(text: str) -> Box | None:
    if not text:
        return None
    numbers = text.split()
    if len(numbers) != 4 or not all(re.fullmatch(r"-?\d{1,6}", number) for number in numbers):
        raise UsageError(f"'{text}' is no box. Write whole pixels: left top right bottom.")
    left, top, right, bottom = map(int, numbers)
    if left >= right or top >= bottom or right <= 0 or bottom <= 0:
        raise UsageError(f"the box '{text}' is empty: left must be less than right, and top less than bottom.")
    return left, top, right, bottom


plugin = Manifest()
