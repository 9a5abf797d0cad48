"""Your own images, listed in a file (CSV, Parquet, JSON lines): `path,label[,split][,subject][,box][,...]`.

The file and the images may be remote (`s3://bucket/faces.csv`).
"""

import os
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from fercache.datasets import WITHOUT_LABELS, Dataset, FaceImage, face_file
from fercache.errors import UsageError, nearest
from fercache.expressions import EXPRESSIONS, canonical
from fercache.identity import hashed_alike
from fercache.layouts.folders import LARGEST_FILE, TOO_LARGE
from fercache.layouts.own_lists import NOT_GIVEN, NoColumnError, named_rows
from fercache.layouts.remote import address_of, exists, local, read, shown, stamp
from fercache.splits import split_name

NEEDED = ("path", "label")
OPTIONAL = ("split", "subject", "box")
OTHER_NAMES = {
    "path": ("file_name", "filename", "file", "image"),
    "label": ("expression", "emotion"),
    "split": ("usage", "subset"),
}
"""Column names in the lists of FER2013, Hugging Face's image folders and others."""
LABELS = ".labels.csv"

Box = tuple[int, int, int, int]


class Manifest(Dataset):
    """Paths are relative to the file and stay in its folder. An empty label means none; a box is "left top right
    bottom".

    Labels are expressions or their aliases. Other labels need a file `NAME.labels.csv` beside `NAME.csv` with the
    columns label and expression (empty: no label).
    Every other column goes into the group as `column=value`. An image may have several lines, with different boxes.
    """

    expressions: ClassVar = EXPRESSIONS
    domains: ClassVar = None
    layout: ClassVar = (
        "a CSV, Parquet or .jsonl file with the columns path, label, perhaps split, subject, box; others go into the "
        "group."
    )
    licence: ClassVar = "your own images"
    homepage: ClassVar = ""
    citation: ClassVar = ""

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """The lines in order; the id is the path, with the box if there is one. Raises UsageError with the line."""
        root = self._list(root)
        meaning = read_meanings(root.with_suffix(LABELS))
        try:
            yield from _faces(root, NEEDED, lambda cells: label_of(cells["label"], meaning))
        except NoColumnError as error:
            raise UsageError(f"{error} {WITHOUT_LABELS}" if error.missing == ("label",) else str(error)) from None

    def images(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """The lines in order, whether or not they have a label, which is not read."""
        return _faces(self._list(root), ("path",), lambda cells: None)

    def _list(self, root: Path | None) -> Path:
        if root is None or not (root.is_file() or (address_of(root) and exists(root))):
            raise self.refuse_root(f"{shown(root) if root else 'no root'} is not a file.")
        return local(root)


def _faces(root: Path, needed: Sequence[str], label: Callable[[dict[str, str]], str | None]) -> Iterator[FaceImage]:
    """The faces of a list. Raises UsageError with the line."""
    hashes, any_there = array("q"), False
    for _, path, face in _lines(root, needed, label):
        hashes.append(hash(face.id))
        any_there = any_there or _is_there(path)
        yield face
    if not hashes:
        raise UsageError(f"{shown(root)} lists no images: it has only a header.")
    if not any_there:
        raise UsageError(
            f"{shown(root)}: none of its {len(hashes)} images exists. Paths must be relative to {shown(root.parent)}."
        )
    if alike := hashed_alike(hashes):
        again = ((line, face.id) for line, _, face in _lines(root, needed, label))
        _refuse_repeated(root, ((line, id) for line, id in again if hash(id) in alike))


def _lines(
    root: Path, needed: Sequence[str], label: Callable[[dict[str, str]], str | None]
) -> Iterator[tuple[int, Path, FaceImage]]:
    """The faces of a list with their lines and paths."""
    folder = root.parent  # one object for all faces
    for line, cells in named_rows(root, needed, OTHER_NAMES):
        try:
            _refuse_nul(cells)
            path = _inside(cells["path"], folder)
            yield line, folder / path, _face(path, cells, folder, label=label(cells))
        except UsageError as error:
            raise UsageError(f"{shown(root)}, line {line}: {error}") from None


def _refuse_repeated(root: Path, faces: Iterable[tuple[int, str]]) -> None:
    """Raises UsageError if two lines list the same id."""
    lines: dict[str, int] = {}
    for line, id in faces:
        if id in lines:
            raise UsageError(
                f"{shown(root)}: lines {lines[id]} and {line} both list {id}. Remove one, or give each a box."
            )
        lines[id] = line


def read_meanings(path: Path) -> dict[str, str | None] | None:
    """Label -> expression; None if there is no such file. Raises UsageError with the line for a wrong file."""
    if not exists(path):
        return None
    meanings: dict[str, str | None] = {}
    for line, cells in named_rows(path, ("label", "expression")):
        try:
            meanings[cells["label"]] = canonical(cells["expression"]) if cells["expression"] else None
        except UsageError as error:
            raise UsageError(f"{shown(path)}, line {line}: {error}") from None
    return meanings


def label_of(text: str, meaning: dict[str, str | None] | None) -> str | None:
    """The expression of a label, by the file of labels if there is one. Raises UsageError for an unknown label."""
    if meaning is None:
        return canonical(text) if text.lower() not in NOT_GIVEN else None
    if text not in meaning and re.fullmatch(r"\d+\.0", text):  # pandas writes integers so beside empty cells
        text = text.removesuffix(".0")
    if text not in meaning:
        if text.lower() in NOT_GIVEN:
            return None
        raise UsageError(f"the label '{text}' is not in the file of labels. {nearest(text, meaning)}")
    return meaning[text]


def _face(path: str, cells: dict[str, str], folder: Path, label: str | None) -> FaceImage:
    optional = (cells.get(name, "") for name in OPTIONAL)
    split, subject, box_text = ("" if text.lower() in NOT_GIVEN else text for text in optional)
    box = _box(box_text)
    # `;` separates the columns of a group, so it cannot occur in one
    others = [f"{name}={cell}".replace(";", ",") for name, cell in cells.items() if name not in NEEDED + OPTIONAL]
    face = _remote_face if address_of(folder) else face_file
    return face(
        folder / path,
        folder,
        split_name(split),
        label,
        id=path if box is None else f"{path}#{','.join(map(str, box))}",
        subject=subject,
        group=";".join(others),
        box=box,
    )


def _remote_face(path: Path, folder: Path, split: str, label: str | None, id: str, **more: Any) -> FaceImage:
    """The store's own checksum or date identifies the content, so that the image is fetched once."""
    return FaceImage(id, partial(_fetched, path), split, label, fingerprint=partial(stamp, path), **more)


def _fetched(path: Path) -> bytes:
    data = read(path, 0, LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise OSError(TOO_LARGE)
    return data


def _is_there(path: Path) -> bool:
    """False for names that no file system accepts."""
    return exists(path) if address_of(path) else os.path.exists(path)  # noqa: PTH110


def _refuse_nul(cells: dict[str, str]) -> None:
    """Raises UsageError with the column for text that can neither be a path nor be stored."""
    for name, cell in cells.items():
        if "\0" in name + cell:
            raise UsageError(f"the column {name!r} contains a NUL character: {cell!r}.")


def _inside(path: str, folder: Path) -> str:
    """`path` relative to `folder`, with slashes. Raises UsageError if it leads out; links are checked when read."""
    if path.lower() in NOT_GIVEN:
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
    numbers = [number.removesuffix(".0") for number in re.split(r"[\s,;]+", text.strip("[]() "))]
    if len(numbers) != 4 or not all(re.fullmatch(r"-?\d{1,6}", number) for number in numbers):
        raise UsageError(f"'{text}' is not a box. Write whole pixels: left top right bottom.")
    left, top, right, bottom = map(int, numbers)
    if left >= right or top >= bottom or right <= 0 or bottom <= 0:
        raise UsageError(f"the box '{text}' is empty: left must be less than right, and top less than bottom.")
    return left, top, right, bottom


plugin = Manifest()
