"""The data set contract. Every other file in this folder is one data set, or one family of them.

A name on the command line is `FAMILY[:DOMAIN][@SPLIT]`: `ferplus`, `ferplus@validation`, `synthetic:webcam`,
`folder:my-office`.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fercache.errors import UsageError, nearest

SPLITS = ("train", "validation", "test")
_SPLIT_ALIASES = {"valid": "validation", "val": "validation", "training": "train", "testing": "test"}


def split_name(name: str) -> str:
    """The one spelling of a split (`valid`, `Val` -> `validation`); other names, which a set may have, stay."""
    lower = name.strip().lower()
    return _SPLIT_ALIASES.get(lower, lower)


@dataclass(frozen=True, slots=True)
class FaceImage:
    """One face as its set lists it; `read()` fetches the encoded bytes, or an (H, W, 3) uint8 array.

    `id` is unique in the set; `label` is an expression's canonical name; `votes` follow the set's `vote_columns`,
    -1 where a label file does not know the image; `box` is (left, top, right, bottom) in pixels; `group` is
    `column=value;...`; `fingerprint` (32 bytes) stands for the image where it is known without reading it.
    """

    id: str
    read: Callable[[], bytes | NDArray[np.uint8]]
    split: str = ""
    label: str | None = None
    votes: tuple[int, ...] | None = None
    subject: str = ""
    group: str = ""
    box: tuple[int, int, int, int] | None = None
    fingerprint: bytes | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check: images expected (None where nothing is known) and found, in a split, of a class."""

    split: str
    label: str
    expected: int | None
    found: int

    @property
    def agrees(self) -> bool:
        """Whether what was found is what was expected, or nothing was."""
        return self.expected is None or self.expected == self.found


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
    licence: ClassVar[str]
    homepage: ClassVar[str]
    citation: ClassVar[str]

    @abstractmethod
    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """All faces of every split, in an order that never changes. Raises UsageError for a wrong root or domain."""

    @abstractmethod
    def check(self, root: Path | None, domain: str = "") -> list[Finding]:
        """Expected counts against what `faces` finds, per split and class."""


@dataclass(frozen=True, slots=True)
class DatasetName:
    """`FAMILY[:DOMAIN][@SPLIT]`, parsed."""

    family: str
    domain: str = ""
    split: str = ""

    @classmethod
    def parse(cls, text: str) -> "DatasetName":
        """Raises UsageError when `text` does not read as a name."""
        match = re.fullmatch(r"([\w.-]+)(?::([\w.-]+))?(?:@([\w.-]+))?", text.strip())
        if match is None:
            raise UsageError(f"'{text}' is not a data set name. Write NAME[:DOMAIN][@SPLIT], e.g. ferplus@test.")
        family, domain, split = match.groups(default="")
        return cls(family, domain, split_name(split))

    @property
    def slug(self) -> str:
        """The name in file names: `synthetic-webcam`."""
        return f"{self.family}-{self.domain}" if self.domain else self.family

    def __str__(self) -> str:
        domain = f":{self.domain}" if self.domain else ""
        return f"{self.family}{domain}" + (f"@{self.split}" if self.split else "")


def check_domain(dataset: type[Dataset] | Dataset, family: str, domain: str) -> None:
    """Raises UsageError when `domain` is not one that the family has."""
    if dataset.domains is None or domain in (dataset.domains or ("",)):
        return
    if not dataset.domains:
        raise UsageError(f"'{family}' has no domains; write '{family}', not '{family}:{domain}'.")
    raise UsageError(f"'{family}' has no domain '{domain}'. {nearest(domain, dataset.domains)}")
