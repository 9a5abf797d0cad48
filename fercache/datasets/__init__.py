"""The dataset contract. Every other file in this folder is one dataset, or one family of datasets.

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
from fercache.images.alignment import Alignment, FoundFace
from fercache.images.corruptions import Corruption, corruptions
from fercache.images.decode import decode, refuse_outside
from fercache.images.photographs import decode_photograph
from fercache.layouts.folders import class_name, id_below, read_inside, root_nearby, subfolders
from fercache.splits import POOL, SPLITS, meant_split, split_name


@dataclass(frozen=True, slots=True)
class FaceImage:
    """One listed face; `read()` returns the encoded bytes, or an (H, W, 3) uint8 array.

    `id` is unique in the dataset; `label` is an expression's canonical name; `votes` follow the dataset's
    `vote_columns`, -1 where a label file lacks the image; `box` is (left, top, right, bottom) in pixels; `group` is
    `column=value;...`; `fingerprint` (32 bytes, or a function that returns them) identifies the image without reading
    it; `path` is the image's own file, if it has one (as text: a million `Path`s would take 300 MB); `corruption` is
    applied to the decoded, cropped image. `found` is the face's place in a photograph, from which `alignment` crops it.
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
    found: FoundFace | None = None
    alignment: Alignment | None = None

    def pixels(self, data: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) uint8: the `data` that `read` returned, decoded, cropped, and corrupted if the dataset is.

        Raises Unreadable.
        """
        if self.found is None or self.alignment is None:
            pixels = decode(data, self.box)
        else:
            photograph = decode_photograph(data)
            refuse_outside(self.found.box, photograph)
            pixels = self.alignment.crop(photograph, self.found)
        return pixels if self.corruption is None else self.corruption(pixels)


def face_file(path: Path, root: Path, split: str, label: str | None, id: str | None = None, **more: Any) -> FaceImage:
    """A face stored as a file below `root`; its id is the path relative to `root` unless given."""
    file = str(path)
    return FaceImage(id or id_below(path, root), partial(read_inside, file, root), split, label, path=file, **more)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check: images expected (None: unknown) and found in a split ("": the whole dataset).

    `label` is an expression; "" for all images of the split; `<label file>:<expression>` for majorities of votes;
    ABSENT for listed images without a file; or LEFT_OUT and why lines of a list are not among the faces.
    """

    split: str
    label: str
    expected: int | None
    found: int

    @property
    def agrees(self) -> bool:
        """Whether the count found is the expected one, or none is known."""
        return self.expected is None or self.expected == self.found


WITHOUT_LABELS = "For images without labels, add --unlabelled."
"""The end of an error about missing labels, for datasets whose `images` need none."""

ABSENT = "absent"
LEFT_OUT = "left out"
Expected = Mapping[str, Mapping[str, int]]
"""Split -> label -> images, the labels as in `Finding`. A split's total may be left out: it is the sum."""


class Dataset(ABC):
    """A dataset of face images. `expressions` are the canonical names of its labels or votes, in its own order."""

    expressions: ClassVar[tuple[str, ...]]
    vote_columns: ClassVar[tuple[str, ...]] = ()
    """`<label file>:<name>`; the first file is the default. Names other than expressions (unknown, NF) are allowed."""
    domains: ClassVar[tuple[str, ...] | None] = ()
    """The domains of a family; None if the user chooses the name (`folder:my-office`)."""
    needs_root: ClassVar[bool] = True
    may_show_faces: ClassVar[bool] = False
    """Whether reports may show its images: only if they show no real people."""
    target_split: ClassVar[str] = "test"
    """The split to score when none is named; "" for all faces."""
    images_of: ClassVar[tuple[str, ...]] = ()
    """Other families whose images this one contains; declared once for each pair, see `records.relations.declared`."""
    layout: ClassVar[str]
    """What a root looks like, variant by variant; shown whenever a root is refused."""
    licence: ClassVar[str]
    homepage: ClassVar[str]
    """Where to request the dataset."""
    citation: ClassVar[str]

    @abstractmethod
    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """All faces of every split, in a fixed order. Raises UsageError for a wrong root or domain."""

    def images(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """The same faces without labels. Where labels are part of the layout, also images of other layouts."""
        for face in self.faces(root, domain):
            yield replace(face, label=None, votes=face.votes and (-1,) * len(face.votes))

    def expected(self, root: Path | None, domain: str = "") -> Expected:
        """Known counts for the copy at `root`; none by default."""
        return {}

    def check(self, root: Path | None, domain: str = "") -> list[Finding]:
        """Expected counts against those of `faces`, per split and class. Raises UsageError as `faces`."""
        return self.findings(list(self.faces(root, domain)), root, domain)

    def findings(self, faces: Sequence[FaceImage], root: Path | None, domain: str = "") -> list[Finding]:
        """The check of `faces`, read from `root`."""
        there = os.path.exists  # False, not an error, for names that no file system accepts
        counts = Counter((face.split, face.label) for face in faces)
        absent = Counter(face.split for face in faces if face.path is not None and not there(face.path))
        expected = {split: dict(counts) for split, counts in self.expected(root, domain).items()}
        for known in expected.values():
            known.setdefault("", sum(known.values()))
        splits = sorted({split for split, _ in counts}, key=_split_order)
        findings = []
        for split in dict.fromkeys((*expected, *splits)):
            known = expected.get(split, {})
            found = Counter[str | None]()
            for (of, label), count in counts.items():
                found[label] += count if split in ("", of) else 0
            gone = sum(count for of, count in absent.items() if split in ("", of))
            findings.append(Finding(split, "", known.get(""), found.total()))
            findings += [
                Finding(split, name, known.get(name), found[name])
                for name in self.expressions
                if name in known or found[name]
            ]
            findings += [Finding(split, ABSENT, 0, gone)] if gone else []
        return findings

    def refuse_root(self, reason: str, root: Path | None = None, signs: Sequence[str] = ()) -> UsageError:
        """The error for a wrong root, with the expected layout.

        `signs` are paths that a correct root contains; a folder above or below `root` that contains one is suggested.
        """
        family = type(self).__module__.rpartition(".")[2]
        right = None if root is None else root_nearby(root, signs)
        hint = f" But {right} does: --root {shlex.quote(str(right))}." if right else ""
        return UsageError(f"{family}: {reason}{hint} Expected: {self.layout}")

    def split_folders(
        self, folder: Path, needed: Iterable[str], own_names: Mapping[str, str] | None = None
    ) -> dict[str, Path]:
        """Split -> its folder in `folder`, in the order of SPLITS, in any usual spelling (`val`, `Training`).

        `own_names` are spellings that only this dataset uses. Raises UsageError if a `needed` split is missing or a
        split occurs twice, or if a folder of another name beside them has class folders.
        """
        found: dict[str, Path] = {}
        for path in subfolders(folder, folder):
            split = (own_names or {}).get(path.name) or split_name(path.name)
            if split in found:
                raise self.refuse_root(f"{folder}: {found[split].name} and {path.name} are both the {split} split.")
            if split not in SPLITS and any(class_name(f) in NAME_OF_ALIAS for f in subfolders(path, folder)):
                raise self.refuse_root(f"{folder}: {path.name} has class folders, but is not a known split.")
            found[split] = path
        missing = [split for split in needed if split not in found]
        if missing:
            raise self.refuse_root(f"{folder} has no folder '{missing[0]}'.")
        return {split: found[split] for split in SPLITS if split in found}

    def folder(self, root: Path | None) -> Path:
        """`root`. Raises UsageError if it is not a folder."""
        if root is None or not root.is_dir():
            raise self.refuse_root(f"{root or 'no root'} is not a folder.")
        return root


def _split_order(split: str) -> tuple[int, str]:
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS), split)


@dataclass(frozen=True, slots=True)
class DatasetName:
    """`FAMILY[:DOMAIN][+CORRUPTION[:SEVERITY]][@SPLIT]`, parsed; `corruption` as written."""

    family: str
    domain: str = ""
    corruption: str = ""
    split: str = ""

    @classmethod
    def parse(cls, text: str) -> "DatasetName":
        """Raises UsageError if `text` is not a dataset name."""
        match = re.fullmatch(r"([\w.-]+)(?::([\w.-]+))?(?:\+([\w-]+(?::\w+)?))?(?:@([\w.-]+))?", text.strip())
        if match is None:
            raise UsageError(
                f"'{text}' is not a dataset name. Write NAME[:DOMAIN][+CORRUPTION[:SEVERITY]][@SPLIT], "
                "e.g. ferplus@test or ferplus+blur:3."
            )
        check_length("The dataset name", text)
        family, domain, corruption, split = match.groups(default="")
        return cls(family, domain, corruption, split_name(split))

    @property
    def whole(self) -> "DatasetName":
        """The dataset without a split."""
        return replace(self, split="")

    @property
    def clean(self) -> "DatasetName":
        """The uncorrupted dataset, without a split."""
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
    """Whether `there` has a validation split that is not scored itself, as it is without a test split."""
    wanted = registry.load("datasets", name.family).target_split or "test"
    return "validation" in there and meant_split(there, wanted) != "validation"


def check_domain(dataset: type[Dataset] | Dataset, family: str, domain: str) -> None:
    """Raises UsageError if the family has no such `domain`."""
    if dataset.domains is None or domain in (dataset.domains or ("",)):
        return
    if not dataset.domains:
        raise UsageError(f"'{family}' has no domains; write '{family}', not '{family}:{domain}'.")
    raise UsageError(f"'{family}' has no domain '{domain}'. {nearest(domain, dataset.domains)}")


def every_set(names: Iterable[str]) -> tuple[str, ...]:
    """Expands `synthetic` to all its domains, `ferplus+blur` to its severities, `ferplus+all` to all corruptions.

    Raises UsageError for an unknown dataset, domain or corruption.
    """
    found: list[str] = []
    for name in map(DatasetName.parse, names):
        dataset = registry.load("datasets", name.family)
        for domain in dataset.domains if dataset.domains and not name.domain else (name.domain,):
            check_domain(dataset, name.family, domain)
            corrupted = [str(one) for one in corruptions(name.corruption)] if name.corruption else [""]
            found += [str(replace(name, domain=domain, corruption=one)) for one in corrupted]
    return tuple(found)


def source_names(text: str) -> tuple[DatasetName, ...]:
    """The datasets of a source, sorted: one, or several that are pooled, written `A & B`.

    Raises UsageError for a malformed name, and for a dataset named twice.
    """
    names = [DatasetName.parse(part) for part in text.split(POOL.strip())]
    for name in names:
        if sum(name.whole == other.whole for other in names) > 1:
            raise UsageError(f"The source '{text}' names {name.whole} more than once. Name each dataset once.")
    return tuple(sorted(names, key=str))


def source_slug(names: Sequence[DatasetName]) -> str:
    """A source in file names; four datasets or more become the first and the number of others."""
    slugs = [name.slug for name in names]
    return "-and-".join(slugs if len(slugs) < 4 else [slugs[0], f"{len(slugs) - 1}-more"])
