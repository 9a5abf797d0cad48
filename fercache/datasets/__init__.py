"""The data set contract. Every other file in this folder is one data set, or one family of them.

A name on the command line is `FAMILY[:DOMAIN][+CORRUPTION[:SEVERITY]][@SPLIT]`: `ferplus`, `ferplus@validation`,
`synthetic:webcam`, `folder:my-office`, `ferplus+blur:3`.
"""

import os
import re
import shlex
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fercache import registry
from fercache.errors import UsageError, check_length, nearest
from fercache.expressions import NAME_OF_ALIAS
from fercache.images.corruptions import Corruption, corruptions
from fercache.images.decode import decode
from fercache.layouts.folders import class_name, id_below, read_inside, root_nearby, subfolders
from fercache.splits import POOL, SPLITS, meant_split, split_name


@dataclass(frozen=True, slots=True)
class FaceImage:
    """One face as its set lists it; `read()` fetches the encoded bytes, or an (H, W, 3) uint8 array.

    `id` is unique in the set; `label` is an expression's canonical name; `votes` follow the set's `vote_columns`,
    -1 where a label file does not know the image; `box` is (left, top, right, bottom) in pixels; `group` is
    `column=value;...`; `fingerprint` (32 bytes, or what gives them) stands for the image without reading it; `path` is
    its file, where it has one of its own (as text: a million `Path`s would take 300 MB); `corruption` is applied to the
    decoded, cropped picture.
    """

    id: str
    read: Callable[[], bytes | NDArray[np.uint8]]
    split: str = ""
    label: str | None = None
    votes: tuple[int, ...] | None = None
    subject: str = ""
    group: str = ""
    box: tuple[int, int, int, int] | None = None
    fingerprint: bytes | Callable[[], bytes] | None = None
    path: str | None = None
    corruption: Corruption | None = None

    def pixels(self, data: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) uint8: `data`, which was read, decoded, cropped, and corrupted where the dataset is.

        Raises Unreadable.
        """
        pixels = decode(data, self.box)
        return pixels if self.corruption is None else self.corruption(pixels)


def face_file(path: Path, root: Path, split: str, label: str | None, id: str | None = None, **more: Any) -> FaceImage:
    """A face that is a file below `root`; its id is the path below `root` unless given."""
    file = str(path)
    return FaceImage(id or id_below(path, root), partial(read_inside, file, root), split, label, path=file, **more)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check: images expected (None where nothing is known) and found, in a split ("": in the whole set).

    `label` is an expression, "" for all images of the split, `<label file>:<expression>` for majorities of votes,
    ABSENT for images that a list names and that are not there, or begins with LEFT_OUT and says which lines of a list
    are not among the faces.
    """

    split: str
    label: str
    expected: int | None
    found: int

    @property
    def agrees(self) -> bool:
        """Whether what was found is what was expected, or nothing was."""
        return self.expected is None or self.expected == self.found


ABSENT = "absent"
LEFT_OUT = "left out"
Expected = Mapping[str, Mapping[str, int]]
"""Split -> label -> images, the labels as in `Finding`. The sum of a split's expressions need not be said."""


class Dataset(ABC):
    """A set of face images. `expressions` are the canonical names its labels or votes can take, in its own order."""

    expressions: ClassVar[tuple[str, ...]]
    vote_columns: ClassVar[tuple[str, ...]] = ()
    """`<label file>:<name>`; the first file is the default. Names that are no expression (unknown, NF) are allowed."""
    domains: ClassVar[tuple[str, ...] | None] = ()
    """The domains of a family; None where the user gives any name (`folder:my-office`)."""
    needs_root: ClassVar[bool] = True
    may_show_faces: ClassVar[bool] = False
    """Whether reports may show its pictures (nobody real is in them)."""
    target_split: ClassVar[str] = "test"
    """The split that is scored where none is named; "" for all faces."""
    pictures_of: ClassVar[tuple[str, ...]] = ()
    """Other families whose pictures are in this one; said once for each pair, see `provenance.declared`."""
    layout: ClassVar[str]
    """What a root looks like, variant by variant; shown with every refusal of a root."""
    licence: ClassVar[str]
    homepage: ClassVar[str]
    """Where to ask for the set."""
    citation: ClassVar[str]

    @abstractmethod
    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """All faces of every split, in an order that never changes. Raises UsageError for a wrong root or domain."""

    def expected(self, root: Path | None, domain: str = "") -> Expected:
        """The counts that are known of the set, as it lies at `root`; nothing unless a set says otherwise."""
        return {}

    def check(self, root: Path | None, domain: str = "") -> list[Finding]:
        """Expected counts against what `faces` finds, per split and class. Raises UsageError as `faces`."""
        return self.findings(list(self.faces(root, domain)), root, domain)

    def findings(self, faces: Sequence[FaceImage], root: Path | None, domain: str = "") -> list[Finding]:
        """The check of `faces`, which lie at `root`."""
        there = os.path.exists  # of a name that no system takes, too, it says that it is not
        absent = {face.id for face in faces if face.path is not None and not there(face.path)}
        expected = {split: dict(counts) for split, counts in self.expected(root, domain).items()}
        for counts in expected.values():
            counts.setdefault("", sum(counts.values()))
        splits = sorted({face.split for face in faces}, key=_split_order)
        findings = []
        for split in dict.fromkeys((*expected, *splits)):
            known = expected.get(split, {})
            listed = [face for face in faces if split in ("", face.split)]
            found = Counter(face.label for face in listed)
            gone = sum(face.id in absent for face in listed)
            findings.append(Finding(split, "", known.get(""), len(listed)))
            findings += [
                Finding(split, name, known.get(name), found[name])
                for name in self.expressions
                if name in known or found[name]
            ]
            findings += [Finding(split, ABSENT, 0, gone)] if gone else []
        return findings

    def refuse_root(self, reason: str, root: Path | None = None, signs: Sequence[str] = ()) -> UsageError:
        """The error for a root that is none, with the layout that was expected.

        `signs` are paths that a right root has; where a folder above or below `root` has one, it is named.
        """
        family = type(self).__module__.rpartition(".")[2]
        right = None if root is None else root_nearby(root, signs)
        hint = f" But {right} does: --root {shlex.quote(str(right))}." if right else ""
        return UsageError(f"{family}: {reason}{hint} Expected is {self.layout}")

    def split_folders(
        self, folder: Path, needed: Iterable[str], own_names: Mapping[str, str] | None = None
    ) -> dict[str, Path]:
        """Split -> its folder in `folder`, in the order of SPLITS, whatever spelling it has (`val`, `Training`).

        `own_names` are those that only this dataset has. Raises UsageError where a `needed` one is missing, a split is
        there twice, or a folder of another name beside them has class folders.
        """
        found: dict[str, Path] = {}
        for path in subfolders(folder, folder):
            split = (own_names or {}).get(path.name) or split_name(path.name)
            if split in found:
                raise self.refuse_root(f"{folder}: {found[split].name} and {path.name} are both the {split} split.")
            if split not in SPLITS and any(class_name(f) in NAME_OF_ALIAS for f in subfolders(path, folder)):
                raise self.refuse_root(f"{folder}: {path.name} has class folders, but is no split that is known.")
            found[split] = path
        missing = [split for split in needed if split not in found]
        if missing:
            raise self.refuse_root(f"{folder} has no folder '{missing[0]}'.")
        return {split: found[split] for split in SPLITS if split in found}

    def folder(self, root: Path | None) -> Path:
        """`root`, where it is a folder. Raises UsageError where it is not."""
        if root is None or not root.is_dir():
            raise self.refuse_root(f"{root or 'no root'} is not a folder.")
        return root


def _split_order(split: str) -> tuple[int, str]:
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS), split)


@dataclass(frozen=True, slots=True)
class DatasetName:
    """`FAMILY[:DOMAIN][+CORRUPTION[:SEVERITY]][@SPLIT]`, parsed; `corruption` is as it was written."""

    family: str
    domain: str = ""
    corruption: str = ""
    split: str = ""

    @classmethod
    def parse(cls, text: str) -> "DatasetName":
        """Raises UsageError when `text` does not read as a name."""
        match = re.fullmatch(r"([\w.-]+)(?::([\w.-]+))?(?:\+([\w-]+(?::\w+)?))?(?:@([\w.-]+))?", text.strip())
        if match is None:
            raise UsageError(
                f"'{text}' is not a data set name. Write NAME[:DOMAIN][+CORRUPTION[:SEVERITY]][@SPLIT], "
                "e.g. ferplus@test or ferplus+blur:3."
            )
        check_length("The data set name", text)
        family, domain, corruption, split = match.groups(default="")
        return cls(family, domain, corruption, split_name(split))

    @property
    def whole(self) -> "DatasetName":
        """The set itself, without a split."""
        return replace(self, split="")

    @property
    def clean(self) -> "DatasetName":
        """The set that this one is made from, whole."""
        return DatasetName(self.family, self.domain)

    @property
    def slug(self) -> str:
        """The name in file names, without the split: `synthetic-webcam`, `ferplus+blur-3`."""
        return str(self.whole).replace(":", "-")

    def __str__(self) -> str:
        domain = f":{self.domain}" if self.domain else ""
        corruption = f"+{self.corruption}" if self.corruption else ""
        return f"{self.family}{domain}{corruption}" + (f"@{self.split}" if self.split else "")


def has_spare_validation(there: Collection[str], name: DatasetName) -> bool:
    """Whether, of the splits that are `there`, one is for validation and not scored: without a test split it is."""
    wanted = registry.load("datasets", name.family).target_split or "test"
    return "validation" in there and meant_split(there, wanted) != "validation"


def check_domain(dataset: type[Dataset] | Dataset, family: str, domain: str) -> None:
    """Raises UsageError when `domain` is not one that the family has."""
    if dataset.domains is None or domain in (dataset.domains or ("",)):
        return
    if not dataset.domains:
        raise UsageError(f"'{family}' has no domains; write '{family}', not '{family}:{domain}'.")
    raise UsageError(f"'{family}' has no domain '{domain}'. {nearest(domain, dataset.domains)}")


def every_set(names: Iterable[str]) -> tuple[str, ...]:
    """One by one: `synthetic` is all its domains, `ferplus+blur` its severities, `ferplus+all` all corruptions' too.

    Raises UsageError for a set, domain or corruption that does not exist.
    """
    found: list[str] = []
    for name in map(DatasetName.parse, names):
        dataset = registry.load("datasets", name.family)
        for domain in dataset.domains if dataset.domains and not name.domain else (name.domain,):
            check_domain(dataset, name.family, domain)
            spoilt = [str(one) for one in corruptions(name.corruption)] if name.corruption else [""]
            found += [str(replace(name, domain=domain, corruption=one)) for one in spoilt]
    return tuple(found)


def source_names(text: str) -> tuple[DatasetName, ...]:
    """The sets of a source, sorted: one, or several whose faces are pooled, written `A & B`.

    Raises UsageError for a name that does not read, and for a set that is there twice.
    """
    names = [DatasetName.parse(part) for part in text.split(POOL.strip())]
    for name in names:
        if sum(name.whole == other.whole for other in names) > 1:
            raise UsageError(f"The source '{text}' holds {name.whole} more than once. Name every set once.")
    return tuple(sorted(names, key=str))


def source_slug(names: Sequence[DatasetName]) -> str:
    """A source as it stands in the names of files: of many sets the first, and how many more."""
    slugs = [name.slug for name in names]
    return "-and-".join(slugs if len(slugs) < 4 else [slugs[0], f"{len(slugs) - 1}-more"])
