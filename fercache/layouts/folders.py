"""Pictures in folders: what is listed, what is left alone, what is refused."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from fercache.errors import UsageError

LARGEST_FILE = 256 * 2**20
"""Bytes: no face crop is larger, and reading what is would fill the memory."""
TOO_LARGE = f"larger than {LARGEST_FILE // 2**20} MB"

_NOT_OURS = ("thumbs.db", "desktop.ini", "__macosx")
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")


def read_inside(path: str | Path, root: Path) -> bytes:
    """The bytes of a file. Raises OSError as `read_plain`, and for a link that leaves `root`."""
    file = str(path)  # text is looked at three times as fast as a `Path`, which counts for small pictures
    _refuse_no_plain(file)
    is_link = os.path.islink(file)  # noqa: PTH114
    folder, _, _ = file.rpartition(os.sep)
    if not (_leads_inside(file, root) if is_link else _lies_inside(folder, root)):
        raise PermissionError(f"a link that leaves {root}")
    with open(file, "rb") as stream:  # noqa: PTH123
        return stream.read()


def read_plain(file: str) -> bytes:
    """The bytes of a file. Raises OSError when there is none, when it is a pipe, device or folder, or too large."""
    _refuse_no_plain(file)
    with open(file, "rb") as stream:  # noqa: PTH123
        return stream.read()


def _refuse_no_plain(file: str) -> None:
    try:
        found = os.stat(file)  # noqa: PTH116
    except OSError:
        raise FileNotFoundError("no such file") from None
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError("not a plain file")
    if found.st_size > LARGEST_FILE:
        raise OSError(TOO_LARGE)


def _leads_inside(path: str, root: Path) -> bool:
    return Path(path).resolve().is_relative_to(root.resolve())


_lies_inside = cache(_leads_inside)
"""Of folders: many faces lie in one, and this takes longer than reading a small picture."""


def visible(folder: Path, root: Path) -> list[Path]:
    """What lies in `folder`, by name, without hidden files and what systems leave behind (Thumbs.db).

    Raises UsageError for a folder that cannot be read, and for a link out of `root`.
    """
    try:
        with os.scandir(folder) as scan:
            entries = sorted((e for e in scan if not _is_litter(e.name)), key=lambda e: e.name)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be read: {error.strerror or error}. Change its rights, or move it."
        ) from None
    for entry in entries:
        if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root.resolve()):
            raise UsageError(
                f"{entry.path} is a link that leaves {root}. Copy what it points to, or choose a root that has both."
            )
    return [Path(entry.path) for entry in entries]


def subfolders(folder: Path, root: Path) -> list[Path]:
    """The folders in `folder`, by name. Raises UsageError as `visible`."""
    return [path for path in visible(folder, root) if path.is_dir()]


def first_folder(candidates: Iterable[Path]) -> Path | None:
    """The first that is there: sets are unpacked with and without a folder in between."""
    return next((folder for folder in candidates if folder.is_dir()), None)


def pictures_by_class(folder: Path, root: Path, expression_of: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Every file in the class folders, with its expression; `expression_of` has the folders' names in lower case.

    Every file is listed, whatever its name ends in, so that nothing is left out unnoticed: what is no picture goes to
    the quarantine list. Raises UsageError for other folders, for pictures outside of them, and for folders in them.
    """
    refuse_unlabelled(folder, root)
    found = subfolders(folder, root)
    unknown = [f.name for f in found if f.name.lower() not in expression_of]
    if unknown and all(name.isdigit() for name in unknown):
        raise UsageError(
            f"{folder}: its folders are the numbers {', '.join(unknown)}. Copies of this set number the expressions in "
            "different orders, so nobody can tell which is which. Take a copy whose folders are names."
        )
    if unknown:
        known = {name: [alias for alias, e in expression_of.items() if e == name] for name in expression_of.values()}
        listed = "; ".join(f"{name}: {', '.join(aliases)}" for name, aliases in known.items())
        raise UsageError(f"{folder}: no expression is called {', '.join(unknown)}. Known folders are {listed}.")
    for class_folder in found:
        for path in files_in(class_folder, root):
            yield path, expression_of[class_folder.name.lower()]


def files_in(class_folder: Path, root: Path) -> Iterator[Path]:
    """The files of one class. Raises UsageError for a folder among them."""
    for path in visible(class_folder, root):
        if path.is_dir():
            raise UsageError(f"{path} is a folder in a class folder; pictures must lie directly in {class_folder}.")
        yield path


def refuse_unlabelled(folder: Path, root: Path) -> None:
    """Raises UsageError when pictures lie directly in `folder`, where nothing says what they show, and as `visible`."""
    pictures = [path.name for path in visible(folder, root) if path.suffix.lower() in _PICTURES and path.is_file()]
    if pictures:
        raise UsageError(f"{folder}: {len(pictures)} pictures, such as {min(pictures)}, lie in no class folder.")


def id_below(path: Path, root: Path) -> str:
    """The path below `root`, with slashes. Raises UsageError when it is not UTF-8."""
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{os.fsencode(path)!r}: the name is not UTF-8. Rename the file.") from None
    return name


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _NOT_OURS
