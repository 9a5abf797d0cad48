"""Anybody's own images, listed in a CSV or Parquet file: `path,label[,split][,subject][,box][,...]`: the root.

File and pictures may be at an address (`s3://bucket/faces.csv`).
"""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any, ClassVar

from fercache.datasets import Dataset, FaceImage, face_file, split_name
from fercache.errors import UsageError, nearest
from fercache.expressions import EXPRESSIONS, canonical
from fercache.layouts.folders import LARGEST_FILE, TOO_LARGE
from fercache.remote import address_of, exists, opened, read, shown, stamp

NEEDED = ("path", "label")
OPTIONAL = ("split", "subject", "box")
SEPARATORS = ",;\t"
LABELS = ".labels.csv"
ROWS = 1_024
"""Of a Parquet file that are in memory."""

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
        "a CSV or Parquet file with the columns path, label, perhaps split, subject, box; others go into the group."
    )
    licence: ClassVar = "your own images"
    homepage: ClassVar = ""
    citation: ClassVar = ""

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """The lines in their order; the id is the path, and the box if it has one. Raises UsageError with the line."""
        if root is None or not (root.is_file() or (address_of(root) and exists(root))):
            raise self.refuse_root(f"{shown(root) if root else 'no root'} is not a file.")
        meaning = read_meanings(root.with_suffix(LABELS))
        lines: dict[str, int] = {}
        any_there = False
        for line, cells in _rows(root):
            try:
                _refuse_nul(cells)
                path = _inside(cells["path"], root.parent)
                face = _face(path, cells, root.parent, meaning)
            except UsageError as error:
                raise UsageError(f"{shown(root)}, line {line}: {error}") from None
            if face.id in lines:
                raise UsageError(
                    f"{shown(root)}: lines {lines[face.id]} and {line} are both {face.id}. "
                    "Remove one, or give each a box."
                )
            lines[face.id] = line
            any_there = any_there or _is_there(root.parent / path)
            yield face
        if not lines:
            raise UsageError(f"{shown(root)} lists no images: there is nothing below its header.")
        if not any_there:
            raise UsageError(
                f"{shown(root)}: none of its {len(lines)} images is there. "
                f"Paths must be relative to {shown(root.parent)}."
            )


def _rows(path: Path, needed: Sequence[str] = NEEDED) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells by lower-case column name, one at a time."""
    if path.suffix.lower() == ".parquet":
        yield from _parquet_rows(path, needed)
        return
    try:
        with opened(path) as binary, TextIOWrapper(binary, "utf-8-sig", newline="") as stream:
            header = stream.readline()
            separator = max(SEPARATORS, key=header.count)
            rows = csv.reader(stream, delimiter=separator)
            names = _columns(next(csv.reader([header], delimiter=separator), []), path, needed)
            for cells in rows:
                line = rows.line_num + 1
                if not any(cells):
                    continue
                if len(cells) != len(names):
                    raise UsageError(
                        f"{shown(path)}, line {line}: {len(cells)} cells, but the header has {len(names)}."
                    )
                yield line, dict(zip(names, (cell.strip() for cell in cells), strict=True))
    except UnicodeDecodeError:
        raise UsageError(f"{shown(path)} is not UTF-8 text. Save it as CSV in UTF-8.") from None
    except csv.Error as error:
        raise UsageError(f"{shown(path)}, line {rows.line_num + 1}: {error}. Save it as plain CSV in UTF-8.") from None


def _parquet_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The same of a Parquet file, whose rows have numbers from 1 on; ROWS of them are in memory."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UsageError(f"{shown(path)}: reading Parquet needs pyarrow: pip install 'fercache[parquet]'") from None
    number = 0
    try:
        with opened(path) as stream, ParquetFile(stream) as file:
            names = _columns(file.schema_arrow.names, path, needed)
            for batch in file.iter_batches(batch_size=ROWS):
                for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    binary = [name for name, cell in zip(names, cells, strict=True) if isinstance(cell, bytes)]
                    if binary:
                        raise UsageError(
                            f"{shown(path)}, row {number}: the column {binary[0]} is binary. Expected text: write it "
                            "as a string, or leave the column out."
                        )
                    yield number, {n: "" if c is None else str(c).strip() for n, c in zip(names, cells, strict=True)}
    except (ArrowException, OSError, ValueError, OverflowError) as error:  # the last two are of single cells
        raise UsageError(f"{shown(path)} is no Parquet file that can be read, after {number} rows: {error}") from None


def _columns(header: Sequence[str], path: Path, needed: Sequence[str]) -> list[str]:
    """The names in a header, in lower case. Raises UsageError for what is missing, or there twice."""
    names = [cell.strip().lower() for cell in header]
    missing = [name for name in needed if name not in names]
    if missing:
        possible = f", possible {', '.join(OPTIONAL)}" if needed == NEEDED else ""
        raise UsageError(
            f"{shown(path)}: no column {' and no column '.join(missing)}. Needed are {', '.join(needed)}{possible}; "
            f"the first line has {', '.join(names) or 'nothing'}."
        )
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if repeated:
        raise UsageError(f"{shown(path)}: more than one column is called {', '.join(repeated)}.")
    return names


def read_meanings(path: Path) -> dict[str, str | None] | None:
    """Label -> expression; None where there is no such file. Raises UsageError, naming the line, for a wrong one."""
    if not exists(path):
        return None
    meanings: dict[str, str | None] = {}
    for line, cells in _rows(path, ("label", "expression")):
        try:
            meanings[cells["label"]] = canonical(cells["expression"]) if cells["expression"] else None
        except UsageError as error:
            raise UsageError(f"{shown(path)}, line {line}: {error}") from None
    return meanings


def label_of(text: str, meaning: dict[str, str | None] | None) -> str | None:
    """The expression that a label stands for, by a file of labels where there is one. Raises UsageError for none."""
    if not text:
        return None
    if meaning is None:
        return canonical(text)
    if text not in meaning:
        raise UsageError(f"the label '{text}' is not in the file of labels. {nearest(text, meaning)}")
    return meaning[text]


def _face(path: str, cells: dict[str, str], folder: Path, meaning: dict[str, str | None] | None) -> FaceImage:
    box = _box(cells.get("box", ""))
    # `;` parts the columns of a group, so it cannot stand in one
    others = [f"{name}={cell}".replace(";", ",") for name, cell in cells.items() if name not in NEEDED + OPTIONAL]
    face = _remote_face if address_of(folder) else face_file
    return face(
        folder / path,
        folder,
        split_name(cells.get("split", "")),
        label_of(cells["label"], meaning),
        id=path if box is None else f"{path}#{','.join(map(str, box))}",
        subject=cells.get("subject", ""),
        group=";".join(others),
        box=box,
    )


def _remote_face(path: Path, folder: Path, split: str, label: str | None, id: str, **more: Any) -> FaceImage:
    """What its store says of it stands for its content, so that it is fetched once."""
    return FaceImage(id, partial(_fetched, path), split, label, fingerprint=partial(stamp, path), **more)


def _fetched(path: Path) -> bytes:
    data = read(path, 0, LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise OSError(TOO_LARGE)
    return data


def _is_there(path: Path) -> bool:
    """For names that no system takes, too: they are not there."""
    return exists(path) if address_of(path) else os.path.exists(path)  # noqa: PTH110


def _refuse_nul(cells: dict[str, str]) -> None:
    """Raises UsageError, naming the column, for text that can be neither a path nor stored."""
    for name, cell in cells.items():
        if "\0" in name + cell:
            raise UsageError(f"the column {name!r} has a NUL character in it: {cell!r}.")


def _inside(path: str, folder: Path) -> str:
    """`path` relative to `folder`, with slashes. Raises UsageError when it leads out; links are looked at when read."""
    if not path:
        raise UsageError("the path is empty.")
    base = folder if address_of(folder) else Path(os.path.normpath(folder.absolute()))
    full = Path(os.path.normpath(base / path.replace("\\", "/")))
    if base not in full.parents:
        raise UsageError(
            f"'{path}' is outside of {shown(folder)}. Paths must be relative to the file, and stay in its folder."
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
