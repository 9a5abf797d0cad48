"""Datasets in folders: which of the known layouts a folder has."""

import re
import sys
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fercache import registry
from fercache.datasets import Dataset, DatasetName, FaceImage
from fercache.errors import FercacheError
from fercache.layouts.folders import is_litter
from fercache.layouts.own_lists import is_list

DEPTH = 3
"""Levels of folders below the searched ones; datasets lie near the top of what people unpack."""
MOST_OFF = 0.05
"""A copy of a known dataset has this share of faces more or less at most, if only the counts distinguish it."""
OWN = ("folder", "manifest")
"""Families whose datasets the user names. Of `webdataset`, files would have to be read whole."""
MOST_FOLDERS = 2_000
"""Folders that are looked at, so that a home directory takes seconds."""


@dataclass(frozen=True)
class FoundDataset:
    """A dataset `name` at `root`: its `faces` by split ("": none), and the labelled `expressions` by split.

    Faces with votes instead of labels count with all expressions of their family.
    """

    name: str
    root: Path
    faces: Mapping[str, int]
    expressions: Mapping[str, frozenset[str]]

    @property
    def trainable(self) -> bool:
        """Whether it has training faces of two or more expressions, and others to score."""
        return len(self.expressions.get("train", ())) > 1 and len(self.faces) > 1

    def __str__(self) -> str:
        total, known = sum(self.faces.values()), frozenset[str]().union(*self.expressions.values())
        splits = ", ".join(f"{split} {count:,}" for split, count in self.faces.items() if split)
        return f"{total:,} faces{f' ({splits})' if splits else ''}, {len(known)} expressions"


def find_datasets(folders: Iterable[Path], leave_out: Collection[Path] = ()) -> list[FoundDataset]:
    """The datasets in `folders` and below, each name once; none inside another. Reads lists and names of files only."""
    left_out = {path.resolve() for path in leave_out}
    queue = deque((folder, DEPTH) for folder in folders)
    found: dict[str, FoundDataset] = {}
    for _ in range(MOST_FOLDERS):
        if not queue:
            break
        folder, depth = queue.popleft()
        places = [(family, folder, faces) for family, faces in _families_of(folder).items()]
        if not places:
            files, below = _entries(folder)
            queue += [(path, depth - 1) for path in below if depth and path.resolve() not in left_out]
            places = [("manifest", path, faces) for path in files if (faces := _faces("manifest", path))]
        for family, root, faces in places:
            name = _name(family, root, found)
            found.setdefault(name, _counted(name, root, faces))
    if queue:
        print(f"searched {MOST_FOLDERS:,} folders; for others: fercache init FOLDER", file=sys.stderr)
    return list(found.values())


def described(name: str, root: Path) -> FoundDataset:
    """The dataset `name` at `root`. Raises UsageError for an unknown name, and for a root of another layout."""
    parsed = DatasetName.parse(name)
    return _counted(name, root, list(registry.load("datasets", parsed.family).faces(root, parsed.domain)))


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """The lists and the folders in a folder, sorted; none if it cannot be read."""
    try:
        there = sorted(path for path in folder.iterdir() if not is_litter(path.name))
        return [path for path in there if is_list(path.name)], [path for path in there if path.is_dir()]
    except OSError:
        return [], []


def _families_of(folder: Path) -> dict[str, Sequence[FaceImage]]:
    """The families whose layout a folder has, and its faces as each of them lists them.

    Where plain class folders fit several, those whose number of faces agrees, else they are the user's own. A family
    that another one contains is left out.
    """
    there = {family: faces for family in _searched_families() if (faces := _faces(family, folder))}
    if "folder" in there:
        alike = {family: faces for family, faces in there.items() if _has_expected_count(family, folder, faces)}
        there = alike or {"folder": there["folder"]}
    contained = {inner for family in there for inner in registry.load("datasets", family).images_of}
    return {family: faces for family, faces in there.items() if family not in contained}


def _searched_families() -> list[str]:
    known: dict[str, Dataset] = {name: registry.load("datasets", name) for name in registry.names("datasets")}
    fixed = [name for name, family in known.items() if family.needs_root and family.domains == ()]
    return [*fixed, "folder"]


def _faces(family: str, root: Path) -> Sequence[FaceImage]:
    try:
        return list(registry.load("datasets", family).faces(root, family if family in OWN else ""))
    except (FercacheError, OSError):
        return ()


def _has_expected_count(family: str, root: Path, faces: Sequence[FaceImage]) -> bool:
    known: Dataset = registry.load("datasets", family)
    expected = known.expected(root)
    total = sum(counts.get("", sum(counts.values())) for counts in expected.values())
    return total > 0 and abs(len(faces) - total) <= MOST_OFF * total


def _name(family: str, root: Path, taken: Collection[str]) -> str:
    """The family, or of the user's own datasets `folder:NAME` after the place; with the folder above if it is taken."""
    if family not in OWN:
        return family
    above, last = root.resolve().parent.name, root.resolve().stem if root.is_file() else root.resolve().name
    names = [f"{family}:{_slug(text)}" for text in (last, f"{above}-{last}")]
    numbered = (f"{names[1]}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (*names, *numbered) if name not in taken)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "faces"


def _counted(name: str, root: Path, faces: Sequence[FaceImage]) -> FoundDataset:
    family = registry.load("datasets", name.partition(":")[0])
    expressions: dict[str, set[str]] = {}
    for face in faces:
        there = expressions.setdefault(face.split, set())
        there |= {face.label} if face.label else set(family.expressions if face.votes else ())
    counts = Counter(face.split for face in faces)
    return FoundDataset(name, root, counts, {split: frozenset(names) for split, names in expressions.items()})
