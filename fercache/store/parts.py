"""A large table in parts: `<table>.h5` lists the files in `<table>.rows`, which hold its rows."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TypeVar

from fercache.identity import canonical_json
from fercache.store.sealed import Attribute, FileKind, SealedFile, opened

Result = TypeVar("Result")

PART = FileKind("part of a feature table", "fercache extract --dataset NAME --encoder NAME")
QUARANTINE = "quarantine/"
"""The group of a shard's or part's quarantined images; all other arrays are columns of the table."""
_PARTS = "parts"


@dataclass(frozen=True, slots=True)
class Part:
    """A file with some rows of a table; its seal changes with any bit of them."""

    name: str
    rows: int
    seal: str


def rows_folder(table: Path) -> Path:
    """The folder of the parts of `table`."""
    return table.with_suffix(".rows")


def part_path(table: Path, part: int) -> Path:
    """`<table>.rows/000003.h5`."""
    return rows_folder(table) / f"{part:06d}.h5"


def listing_parts(parts: Sequence[Part]) -> dict[str, Attribute]:
    """The attributes of a table in parts. Versions that cannot read it refuse its schema."""
    return {_PARTS: canonical_json([astuple(part) for part in parts]), "schema": 2}


def parts_of(file: SealedFile) -> tuple[Part, ...]:
    """The parts that a table's file lists; none if it holds the rows itself. Raises ValueError for another list."""
    if _PARTS not in file.attributes:
        return ()
    found = json.loads(str(file.attributes[_PARTS]))
    return tuple(Part(str(name), int(rows), str(seal)) for name, rows, seal in found)


def read_part(path: Path) -> Part:
    """What a table lists of the part at `path`. Raises UsageError if it is absent or damaged."""
    with opened(path, PART) as file:
        return Part(path.name, file.slots["label"].shape[0], file.seal)


def read_parts(table: Path, file: SealedFile, read: Callable[[Path, SealedFile], Result]) -> list[Result]:
    """`read` of each file that holds rows of a table: its own, or every part. Raises UsageError if one is absent,
    truncated or of another table."""
    parts = parts_of(file)
    if not parts:
        return [read(table, file)]
    found = []
    for part in parts:
        if part.rows:
            with _opened(table, part) as one:
                found.append(read(rows_folder(table) / part.name, one))
    return found


@contextmanager
def _opened(table: Path, part: Part) -> Iterator[SealedFile]:
    with opened(rows_folder(table) / part.name, PART) as file:
        if file.seal != part.seal:
            raise ValueError(f"it is not the file that {table.name} lists")
        yield file
