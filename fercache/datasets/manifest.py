"""Anybody's own images, listed in a CSV or Parquet file: `path,label[,split][,subject][,box][,...]`: the root.

File and pictures may be at an address (`s3://bucket/faces.csv`).
"""

import csv
import os
import re
from collections.abc import Iterator, Sequence
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any, ClassVar

from fercache.datasets import Dataset, FaceImage, face_file, split_name
from fercache.errors import UsageError, nearest
from fercache.expressions import EXPRESSIONS, canonical
from fercache.remote import address_of, exists, opened, read, stamp

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
        "a CSV or Parquet file with the columns path, label, perhaps split, subject, box; others go into the group."
    )
    licence: ClassVar = "your own images"
    homepage: ClassVar = ""
    citation: ClassVar = ""

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """The lines in their order; the id is the path, and the box if it has one. Raises UsageError with the line."""
        if root is None or not (root.is_file() or (address_of(root) and exists(root))):
            raise self.refuse_root(f"{root or 'no root'} is not a file.")
        meaning = read_meanings(root.with_suffix(LABELS))
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
            any_there = any_there or exists(root.parent / path)
            yield face
        if not lines:
            raise UsageError(f"{root} lists no images: there is nothing below its header.")
        if not any_there:
            raise UsageError(
                f"{root}: none of its {len(lines)} images is there. Paths must be relative to {root.parent}."
            )


def _rows(path: Path, needed: Sequence[str] = NEEDED) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells by lower-case column name, one at a time."""
    if path.suffix.lower() == ".parquet":
        yield from _parquet_rows(path, needed)
        return
    try:
        with opened(path) as binary, TextIOWrapper(binary, "utf-8-sig", newline="") as stream:
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


def _parquet_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The same of a Parquet file, whose rows have numbers from 1 on; some thousand are in memory."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UsageError(f"{path}: reading Parquet needs pyarrow: pip install 'fercache[parquet]'") from None
    number = 0
    try:
        with opened(path) as stream, ParquetFile(stream) as file:
            names = _columns(",".join(file.schema_arrow.names), path, needed)
            for batch in file.iter_batches():
                for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield number, {n: "" if c is None else str(c).strip() for n, c in zip(names, cells, strict=True)}
    except (ArrowException, OSError) as error:
        raise UsageError(f"{path} is no Parquet file that can be read, after {number} rows: {error}") from None


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


def read_meanings(path: Path) -> dict[str, str | None] | None:
    """Label -> expression; None where there is no such file. Raises UsageError, naming the line, for a wrong one."""
    if not exists(path):
        return None
    meanings: dict[str, str | None] = {}
    for line, cells in _rows(path, ("label", "expression")):
        try:
            meanings[cells["label"]] = canonical(cells["expression"]) if cells["expression"] else None
        except UsageError as error:
            raise UsageError(f"{path}, line {line}: {error}") from None
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
    # `;` parts the columns of a group, so it cannot stand in a value
    others = {name: cell.replace(";", ",") for name, cell in cells.items() if name not in NEEDED + OPTIONAL}
    face = _remote_face if address_of(folder) else face_file
    return face(
        folder / path,
        folder,
        split_name(cells.get("split", "")),
        label_of(cells["label"], meaning),
        id=path if box is None else f"{path}#{','.join(map(str, box))}",
        subject=cells.get("subject", ""),
        group=";".join(f"{name}={cell}" for name, cell in others.items()),
        box=box,
    )


def _remote_face(path: Path, folder: Path, split: str, label: str | None, id: str, **more: Any) -> FaceImage:
    """What its store says of it stands for its content, so that it is fetched once."""
    return FaceImage(id, partial(read, path), split, label, fingerprint=partial(stamp, path), **more)


def _inside(path: str, folder: Path) -> str:
    """`path` relative to `folder`, with slashes. Raises UsageError when it leads out; links are looked at when read."""
    if not path or "\0" in path:
        raise UsageError("the path is empty, or has a NUL character in it.")
    base = folder if address_of(folder) else Path(os.path.normpath(folder.absolute()))
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
