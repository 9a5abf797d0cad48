"""Images in folders: what counts as an image, what is ignored, what is refused."""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from fercache.errors import UsageError

LARGEST_FILE = 256 * 2**20
"""Bytes. No face crop is larger, and reading a larger file could exhaust memory."""
TOO_LARGE = f"larger than {LARGEST_FILE // 2**20} MB"

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".webp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif"),
)
"""Suffixes of image files, in lower case. A file with another suffix may be an image too: its bytes decide."""

_LITTER = (
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r"),  # Windows, macOS
    *("$recycle.bin", "system volume information", "lost+found"),  # roots of disks
    *("@eadir", "#recycle", "@recycle", "#snapshot", "@tmp"),  # network storage
)
_NUMBERED = re.compile(r"\d+[\W_]+(?=.*[^\W\d_])")
"""The number before the name of a class folder: `1_surprise`, `03 - happy`."""


class NoLabelError(UsageError):
    """Images are not in folders named by expression."""


def read_inside(path: str | Path, root: Path) -> bytes:
    """The bytes of a file. Raises OSError as `read_plain`, and for a link that leaves `root`."""
    file = str(path)  # checking text is three times as fast as checking a `Path`, which matters for small images
    _refuse_no_plain(file)
    is_link = os.path.islink(file)  # noqa: PTH114
    folder, _, _ = file.rpartition(os.sep)
    if not (_leads_inside(file, root) if is_link else _lies_inside(folder, root)):
        raise PermissionError(f"a link that leaves {root}")
    with open(file, "rb") as stream:  # noqa: PTH123
        return stream.read()


def read_plain(file: str) -> bytes:
    """The bytes of a file. Raises OSError if it is missing, a pipe, device or folder, or too large."""
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
"""Cached by folder: a folder has many faces, and this takes longer than reading a small image."""


def visible(folder: Path, root: Path) -> list[Path]:
    """The entries of `folder`, sorted, without hidden files and system files (Thumbs.db, @eaDir).

    Raises UsageError for a folder that cannot be read, and for a link out of `root`.
    """
    try:
        with os.scandir(folder) as scan:
            entries = sorted((e for e in scan if not is_litter(e.name)), key=lambda e: e.name)
    except OSError as error:
        _unreadable(error)
    for entry in entries:
        if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root.resolve()):
            raise UsageError(
                f"{entry.path} is a link that leaves {root}. Copy its target, or choose a root that contains both."
            )
    return [Path(entry.path) for entry in entries]


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or left by the operating system."""
    return name.startswith(".") or name.lower() in _LITTER


def files_below(folder: Path) -> list[Path]:
    """Every file in `folder` and below, sorted, without hidden and system files; links to folders are not followed.

    Raises UsageError for a folder that cannot be read.
    """
    found: list[Path] = []
    for inside, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = [name for name in folders if not is_litter(name)]
        found += [Path(inside, name) for name in names if not is_litter(name)]
    return sorted(found)


def _unreadable(error: OSError) -> None:
    raise UsageError(
        f"{error.filename} cannot be read: {error.strerror or error}. Change its permissions, or move it."
    ) from None


def subfolders(folder: Path, root: Path) -> list[Path]:
    """The folders in `folder`, by name. Raises UsageError as `visible`."""
    return [path for path in visible(folder, root) if path.is_dir()]


def first_folder(candidates: Iterable[Path]) -> Path | None:
    """The first candidate that exists: datasets are unpacked with and without a folder in between."""
    return next((folder for folder in candidates if folder.is_dir()), None)


def root_nearby(root: Path, signs: Sequence[str]) -> Path | None:
    """A folder above or directly below `root` that contains one of the paths `signs`; None if `root` contains one."""
    if any((root / sign).exists() for sign in signs):
        return None
    above = root.resolve().parents
    below = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return first_folder(folder for folder in (*below, *above) for sign in signs if (folder / sign).exists())


def images_by_class(folder: Path, root: Path, expression_of: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Every file in the class folders, with its expression; `expression_of` has the folders' names in lower case.

    A number before the name is ignored. Every file is listed, whatever its suffix: files that are not images go to the
    quarantine list. Raises NoLabelError for unknown folders, and images outside class folders; UsageError for folders
    inside them.
    """
    refuse_unlabelled(folder, root)
    found = subfolders(folder, root)
    unknown = [f.name for f in found if class_name(f) not in expression_of]
    if unknown and all(name.isdigit() for name in unknown):
        raise UsageError(
            f"{folder}: its folders are the numbers {', '.join(unknown)}. Copies of this dataset number the "
            "expressions in different orders, so the order is unknown. Take a copy with named folders."
        )
    if unknown:
        known = {name: [alias for alias, e in expression_of.items() if e == name] for name in expression_of.values()}
        listed = "; ".join(f"{name}: {', '.join(aliases)}" for name, aliases in known.items())
        raise NoLabelError(f"{folder}: not expressions: {', '.join(unknown)}. Known folders are {listed}.")
    for class_folder in found:
        for path in files_in(class_folder, root):
            yield path, expression_of[class_name(class_folder)]


def class_name(folder: Path) -> str:
    """The name of a class folder in lower case, without a leading number (`1_Surprise` -> `surprise`)."""
    return _NUMBERED.sub("", folder.name.lower(), count=1)


def files_in(class_folder: Path, root: Path) -> Iterator[Path]:
    """The files of one class. Raises UsageError if there is a folder among them."""
    for path in visible(class_folder, root):
        if path.is_dir():
            raise UsageError(f"{path} is a folder in a class folder; images must be directly in {class_folder}.")
        yield path


def refuse_unlabelled(folder: Path, root: Path) -> None:
    """Raises NoLabelError for images directly in `folder`, and UsageError as `visible`."""
    images = [path.name for path in visible(folder, root) if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if images:
        raise NoLabelError(f"{folder}: {len(images)} images outside the class folders, such as {min(images)}.")


def id_below(path: Path, root: Path) -> str:
    """The path relative to `root`, with slashes. Raises UsageError if it is not UTF-8."""
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{os.fsencode(path)!r}: the name is not UTF-8. Rename the file.") from None
    return name
