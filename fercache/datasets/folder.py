"""Anybody's own face crops, sorted into folders: `<root>/[<split>/]<class>/*`."""

import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

from fercache.datasets import SPLITS, Dataset, FaceImage, Finding, split_name
from fercache.errors import UsageError
from fercache.expressions import ALIASES, EXPRESSIONS, canonical

LARGEST_FILE = 256 * 2**20
"""Bytes: no face crop is larger, and reading what is would fill the memory."""

_NOT_OURS = ("thumbs.db", "desktop.ini", "__macosx")
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")


class Folder(Dataset):
    """Class folders are named by expression or alias, split folders train, validation (or val), test, in any case.

    Every file in a class folder is listed, whatever its name ends in, so that nothing is left out unnoticed: what is no
    picture goes to the quarantine list. Hidden files and those that systems leave behind (Thumbs.db) are not listed.
    """

    expressions: ClassVar = EXPRESSIONS
    domains: ClassVar = None
    licence: ClassVar = "your own images"
    homepage: ClassVar = ""
    citation: ClassVar = ""

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """All files, by split and name; the id is the path below `root`. Raises UsageError for any other layout."""
        if root is None or not root.is_dir():
            raise UsageError(f"folder: {root or 'no root'} is not a folder. {_layout()}")
        _refuse_unlabelled(root)
        top = _folders(root, root)
        splits = {split_name(folder.name): folder for folder in top if split_name(folder.name) in SPLITS}
        if not splits:
            yield from _faces_of_split("", root, root)
        elif len(splits) < len(top):
            others = [folder.name for folder in top if folder not in splits.values()]
            raise UsageError(
                f"{root} has the split folders {', '.join(splits)} and beside them {', '.join(others)}. {_layout()}"
            )
        else:
            for split in SPLITS:
                if split in splits:
                    yield from _faces_of_split(split, splits[split], root)

    def check(self, root: Path | None, domain: str = "") -> list[Finding]:
        """What is there; nothing particular is expected."""
        return count_faces(self.faces(root, domain))


def count_faces(faces: Iterator[FaceImage]) -> list[Finding]:
    """Faces of every split and class, where nothing is known of how many there should be."""
    found = Counter((face.split, face.label or "") for face in faces)
    return [Finding(split, label, None, count) for (split, label), count in sorted(found.items())]


def read_inside(path: Path, root: Path) -> bytes:
    """The bytes of a file. Raises OSError when it is none, too large for a picture, or a link that leaves `root`."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise PermissionError(f"a link that leaves {root}")
    if not path.is_file():
        raise FileNotFoundError("no such file")
    if path.stat().st_size > LARGEST_FILE:
        raise OSError(f"larger than {LARGEST_FILE // 2**20} MB")
    return path.read_bytes()


def _faces_of_split(split: str, folder: Path, root: Path) -> Iterator[FaceImage]:
    class_folders = _folders(folder, root)
    _refuse_unlabelled(folder)
    unknown = [f.name for f in class_folders if not _is_expression(f.name)]
    if unknown:
        raise UsageError(f"{folder}: no expression is called {', '.join(unknown)}. {_layout()}")
    found = False
    for class_folder in class_folders:
        label = canonical(class_folder.name)
        for path in _visible(class_folder, root):
            if path.is_dir():
                raise UsageError(f"{path} is a folder in a class folder; pictures must lie directly in {class_folder}.")
            found = True
            yield FaceImage(_id(path, root), partial(read_inside, path, root), split, label)
    if not found:
        raise UsageError(f"{folder} holds no pictures in class folders. {_layout()}")


def _is_expression(name: str) -> bool:
    try:
        return bool(canonical(name))
    except UsageError:
        return False


def _folders(folder: Path, root: Path) -> list[Path]:
    return [path for path in _visible(folder, root) if path.is_dir()]


def _visible(folder: Path, root: Path) -> list[Path]:
    """What lies in `folder`, by name. Raises UsageError for a link out of `root`."""
    with os.scandir(folder) as scan:
        entries = sorted((e for e in scan if not _is_litter(e.name)), key=lambda e: e.name)
    for entry in entries:
        if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root.resolve()):
            raise UsageError(
                f"{entry.path} is a link that leaves {root}. Copy what it points to, or choose a root that has both."
            )
    return [Path(entry.path) for entry in entries]


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _NOT_OURS


def _refuse_unlabelled(folder: Path) -> None:
    pictures = [
        p.name for p in folder.iterdir() if p.suffix.lower() in _PICTURES and not _is_litter(p.name) and p.is_file()
    ]
    if pictures:
        raise UsageError(
            f"{folder}: {len(pictures)} pictures, such as {min(pictures)}, lie in no class folder. {_layout()}"
        )


def _id(path: Path, root: Path) -> str:
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{os.fsencode(path)!r}: the name is not UTF-8. Rename the file.") from None
    return name


def _layout() -> str:
    names = "; ".join(f"{name}: {', '.join(a for a in aliases if a != name)}" for name, aliases in ALIASES.items())
    return f"Expected are pictures in [SPLIT/]EXPRESSION/; splits are {', '.join(SPLITS)}, expressions are {names}."


plugin = Folder()
