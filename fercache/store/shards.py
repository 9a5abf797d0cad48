"""Writing a feature table shard by shard: finished shards survive a crash, and no unfinished one looks finished."""

import csv
import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.csv_cells import plain
from fercache.errors import FercacheError, UsageError
from fercache.identity import canonical_json, key_of
from fercache.store.atomic import explained, leftovers_of, replacing, set_aside, write_text
from fercache.store.locks import holding
from fercache.store.plan import ShardPlan
from fercache.store.schema import Columns, Quarantined, check_columns
from fercache.store.sealed import (
    Attribute,
    DamagedFileError,
    FileKind,
    SealedFile,
    Slot,
    opened,
    save_sealed,
    write_sealed,
)
from fercache.store.tables import TABLE, lock_path, parts_folder, quarantine_path, read_info

SHARD = FileKind("shard of a feature table", TABLE.command)
_OUT = "quarantine/"


def shard_path(parts: Path, shard: int) -> Path:
    """`<table>.parts/000012.h5`."""
    return parts / f"{shard:06d}.h5"


def check_shard(path: Path, plan: ShardPlan, shard: int) -> dict[str, Any]:
    """What the shard settled. Raises DamagedFileError if any bit has changed, or it belongs to another table."""
    with opened(path, SHARD) as file:
        rows = plan.rows_of(shard)
        found = [file.attributes[name] for name in ("key", "start", "stop")]
        if found != [plan.key, rows.start, rows.stop]:
            raise ValueError("it covers other rows, or another table")
        for name in file.slots:
            file.raw(name)
        return file.mapping("settled")


class TableWriter:
    """Writes one feature table; a context manager that holds the table's lock.

    `rows` images are listed, in a fixed order; a shard covers `shard_rows` of them, or as many as the shards of an
    earlier process. Entering raises FercacheError if another process is writing the table, UsageError if another table
    is in its place.
    """

    def __init__(
        self,
        path: Path,
        *,
        identity: Mapping[str, Any],
        classes: Sequence[str],
        vote_columns: Sequence[str],
        rows: int,
        shard_rows: int = 2048,
    ) -> None:
        self.path = path
        self.settled: dict[str, Any] | None = None
        self._identity = dict(identity)
        self._plan = ShardPlan(
            key_of(identity), rows, shard_rows, classes=tuple(classes), vote_columns=tuple(vote_columns)
        )
        self._parts = parts_folder(path)
        self._missing: set[int] = set()
        self._held = ExitStack()

    def __enter__(self) -> "TableWriter":
        if self._is_done():  # nothing to write, so no lock, which a read-only cache cannot have
            return self
        with ExitStack() as held:
            held.enter_context(holding(lock_path(self.path)))
            self._sweep()
            if self._finished():
                shutil.rmtree(self._parts, ignore_errors=True)
            else:
                self._resume()
            self._held = held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    @property
    def shard_count(self) -> int:
        """Shards of the whole table."""
        return self._plan.shards

    def missing(self) -> list[int]:
        """The missing shards; none if the table is finished."""
        return sorted(self._missing)

    def rows_of(self, shard: int) -> range:
        """The rows of the listing that a shard covers."""
        return self._plan.rows_of(shard)

    def write(
        self, shard: int, columns: Columns, quarantined: Sequence[Quarantined], settled: Mapping[str, Any]
    ) -> None:
        """Writes one shard: the readable rows, in order, and the quarantined images.

        Raises FercacheError if the disk is full, ValueError for a wrong number of rows or another `settled`.
        """
        rows = self.rows_of(shard)
        if len(columns) + len(quarantined) != len(rows):
            raise ValueError(f"shard {shard} covers {len(rows)} rows, not {len(columns)} + {len(quarantined)}")
        check_columns(columns, self._plan.classes, self._plan.vote_columns)
        if self.settled is not None and canonical_json(self.settled) != canonical_json(settled):
            raise ValueError(f"the first shard settled {self.settled}, shard {shard} {dict(settled)}")
        attributes: dict[str, Attribute] = {
            "key": self._plan.key,
            "start": rows.start,
            "stop": rows.stop,
            "settled": canonical_json(settled),
        }
        out = {f"{_OUT}id": [q.id for q in quarantined], f"{_OUT}reason": [q.reason for q in quarantined]}
        stored = {name: array[:] for name, array in columns.arrays().items()}
        arrays = stored | {name: np.array(values, dtype=object) for name, values in out.items()}
        save_sealed(shard_path(self._parts, shard), SHARD, attributes, arrays=arrays, phase=f"shard {shard}")
        self._missing.discard(shard)
        self.settled = dict(settled) if self.settled is None else self.settled

    def assemble(self, provenance: Mapping[str, Any]) -> Path:
        """Joins the shards into the finished table, in row order, and removes them. Returns the table's path.

        Raises FercacheError if no image could be read or the disk is full, ValueError if shards are missing.
        """
        if self._finished():
            return self.path
        if self._missing:
            raise ValueError(f"{len(self._missing)} shards are still missing")
        slots, quarantined = self._survey()
        self._list_quarantined(quarantined)
        attributes: dict[str, Attribute] = {
            "key": self._plan.key,
            "identity": canonical_json(self._identity),
            "provenance": canonical_json(provenance),
            "classes": canonical_json(self._plan.classes),
            "vote_columns": canonical_json(self._plan.vote_columns),
            "quarantined": len(quarantined),
        }
        with replacing(self.path, "assembly") as temporary, temporary.open("wb") as stream:
            write_sealed(stream, TABLE, attributes, slots=slots, parts=self._rows(slots), phase="assembly")
        shutil.rmtree(self._parts, ignore_errors=True)
        return self.path

    def _sweep(self) -> None:
        """Removes the temporaries of dead writers: the lock's holder is the only live one."""
        for path in [*self._leftovers(), *self._parts.glob("*.tmp")]:
            with explained(path):
                path.unlink(missing_ok=True)

    def _is_done(self) -> bool:
        """Whether the table is complete and no parts are left."""
        return not self._leftovers() and not self._parts.exists() and self._finished()

    def _leftovers(self) -> list[Path]:
        return [p for target in (self.path, quarantine_path(self.path)) for p in leftovers_of(target)]

    def _finished(self) -> bool:
        if not self.path.exists():
            return False
        try:
            found = read_info(self.path)
        except DamagedFileError:
            set_aside(self.path)
            return False
        if found.key != self._plan.key:
            raise UsageError(
                f"{self.path} is another table (key {found.key}, expected {self._plan.key}). Move it away."
            )
        return True

    def _resume(self) -> None:
        plan = self._parts / "plan.json"
        if plan.exists():
            try:
                self._plan = self._plan.resumed(self._parts, ShardPlan.read(plan))
            except DamagedFileError:
                set_aside(plan)
        if not plan.exists():
            self._plan.write(plan)
        for shard in range(self.shard_count):
            path = shard_path(self._parts, shard)
            try:
                settled = check_shard(path, self._plan, shard) if path.exists() else None
            except DamagedFileError:
                set_aside(path)
                settled = None
            if settled is None:
                self._missing.add(shard)
            elif self.settled is None:
                self.settled = settled

    def _opened(self, shard: int) -> AbstractContextManager[SealedFile]:
        return opened(shard_path(self._parts, shard), SHARD)

    def _survey(self) -> tuple[dict[str, Slot], list[Quarantined]]:
        """The layout of the table (rows added up, text as wide as the widest), and its quarantined images."""
        joined: dict[str, Slot] = {}
        quarantined: list[Quarantined] = []
        for shard in range(self.shard_count):
            with self._opened(shard) as file:
                found = {name: slot for name, slot in file.slots.items() if not name.startswith(_OUT)}
                out = [file.array(f"{_OUT}{name}") for name in ("id", "reason")]
            quarantined += [Quarantined(*pair) for pair in zip(*out, strict=True)]
            if found["label"].shape[0]:
                joined = _join(joined, found, shard) if joined else found
        return joined, quarantined

    def _list_quarantined(self, quarantined: Sequence[Quarantined]) -> None:
        path = quarantine_path(self.path)
        if quarantined:
            text = io.StringIO()
            rows = csv.writer(text, lineterminator="\n")
            rows.writerow(("id", "reason"))
            rows.writerows((plain(q.id), plain(q.reason)) for q in quarantined)
            write_text(path, text.getvalue())
        else:
            path.unlink(missing_ok=True)
        if len(quarantined) == self._plan.rows:
            raise FercacheError(
                f"None of the {self._plan.rows} images could be read; {path} has the reasons. Fix them, "
                f"delete {self._parts}, and run the same command again."
            )

    def _rows(self, slots: Mapping[str, Slot]) -> Iterator[dict[str, NDArray[Any]]]:
        for shard in range(self.shard_count):
            with self._opened(shard) as file:
                arrays = {name: file.raw(name) for name in slots} if file.slots["label"].shape[0] else None
            if arrays is not None:
                yield arrays


def _join(upper: Mapping[str, Slot], lower: Mapping[str, Slot], shard: int) -> dict[str, Slot]:
    if upper.keys() != lower.keys():
        raise FercacheError(f"Shard {shard} has columns {sorted(lower)}, earlier shards have {sorted(upper)}.")
    joined = {}
    for name, slot in upper.items():
        other = lower[name]
        if slot.shape[1:] != other.shape[1:] or _differ(slot.dtype, other.dtype):
            raise FercacheError(f"Shard {shard} and earlier shards differ in shape or type of '{name}'.")
        joined[name] = Slot((slot.shape[0] + other.shape[0], *slot.shape[1:]), max(slot.dtype, other.dtype, key=_width))
    return joined


def _differ(one: np.dtype[Any], other: np.dtype[Any]) -> bool:
    return one != other and not one.kind == other.kind == "S"


def _width(dtype: np.dtype[Any]) -> int:
    return dtype.itemsize
