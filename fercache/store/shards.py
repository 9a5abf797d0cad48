"""Writing a feature table shard by shard: finished shards survive a crash, and no unfinished one looks finished.

A large table is written in parts, each joined from its shards, which are then removed: there is never a second copy of
the whole table.
"""

import csv
import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from fercache.csv_cells import plain
from fercache.errors import FercacheError, UsageError
from fercache.identity import canonical_json, key_of
from fercache.store.atomic import explained, leftovers_of, replacing, set_aside, write_text
from fercache.store.joining import joined_arrays, joined_slots, quarantined_in
from fercache.store.locks import holding
from fercache.store.parts import PART, QUARANTINE, listing_parts, part_path, read_part, rows_folder
from fercache.store.plan import PART_ROWS, ShardPlan
from fercache.store.schema import Columns, Quarantined, check_columns
from fercache.store.sealed import Attribute, DamagedFileError, FileKind, opened, save_sealed, write_sealed
from fercache.store.tables import TABLE, has_parts, lock_path, parts_folder, quarantine_path, read_info

SHARD = FileKind("shard of a feature table", TABLE.command)
PLAN = "plan.json"


def shard_path(parts: Path, shard: int) -> Path:
    """`<table>.parts/000012.h5`."""
    return parts / f"{shard:06d}.h5"


def check_shard(path: Path, plan: ShardPlan, shard: int) -> dict[str, Any]:
    """What the shard settled. Raises DamagedFileError if any bit has changed, or it belongs to another table."""
    return _check(path, SHARD, plan.key, rows=plan.rows_of(shard))


def check_part(path: Path, plan: ShardPlan, part: int) -> dict[str, Any]:
    """What the shards of the part settled. Raises DamagedFileError as `check_shard`."""
    return _check(path, PART, plan.key, rows=plan.rows_of_part(part))


def _check(path: Path, kind: FileKind, key: str, *, rows: range) -> dict[str, Any]:
    with opened(path, kind) as file:
        found = [file.attributes[name] for name in ("key", "start", "stop")]
        if found != [key, rows.start, rows.stop]:
            raise ValueError("it covers other rows, or another table")
        for name in file.slots:
            file.check(name)
        return file.mapping("settled")


@dataclass
class TableWriter:
    """Writes one feature table; a context manager that holds the table's lock.

    `rows` images are listed, in a fixed order; a shard covers `shard_rows` of them, or as many as the shards of an
    earlier process; a table of more than `part_rows` is written in parts of so many. Entering raises FercacheError if
    another process is writing the table, UsageError if another table is in its place.
    """

    path: Path
    _: KW_ONLY
    identity: Mapping[str, Any]
    classes: Sequence[str]
    vote_columns: Sequence[str]
    rows: int
    shard_rows: int = 2048
    part_rows: int = PART_ROWS
    settled: dict[str, Any] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._plan = ShardPlan(
            key_of(self.identity),
            self.rows,
            self.shard_rows,
            classes=tuple(self.classes),
            vote_columns=tuple(self.vote_columns),
            part_rows=self.part_rows,
        )
        self._parts = parts_folder(self.path)
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
        out = {f"{QUARANTINE}id": [q.id for q in quarantined], f"{QUARANTINE}reason": [q.reason for q in quarantined]}
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
        in_parts = self._plan.parts > 1
        files, kind = (self._joined_parts(), PART) if in_parts else (self._shards(range(self.shard_count)), SHARD)
        quarantined = quarantined_in(files, kind)
        self._list_quarantined(quarantined)
        slots = joined_slots(files, kind)
        columns = {} if in_parts else {name: slot for name, slot in slots.items() if not name.startswith(QUARANTINE)}
        attributes: dict[str, Attribute] = {
            "key": self._plan.key,
            "identity": canonical_json(self.identity),
            "provenance": canonical_json(provenance),
            "classes": canonical_json(self._plan.classes),
            "vote_columns": canonical_json(self._plan.vote_columns),
            "quarantined": len(quarantined),
            **(listing_parts([read_part(path) for path in files]) if in_parts else {}),
        }
        arrays = joined_arrays(files, kind, columns) if columns else ()
        with replacing(self.path, "assembly") as temporary, temporary.open("wb") as stream:
            write_sealed(stream, TABLE, attributes, slots=columns, parts=arrays, phase="assembly")
        shutil.rmtree(self._parts, ignore_errors=True)
        return self.path

    def _shards(self, shards: range) -> list[Path]:
        return [shard_path(self._parts, shard) for shard in shards]

    def _joined_parts(self) -> list[Path]:
        """The parts, each joined from its shards unless it is there; the shards are removed."""
        plan = rows_folder(self.path) / PLAN
        if not plan.exists():
            self._plan.write(plan)
        paths = [part_path(self.path, part) for part in range(self._plan.parts)]
        for part, path in enumerate(paths):
            shards = self._shards(self._plan.shards_of(part))
            if not path.exists():
                self._join_part(part, path, shards)
            for shard in shards:
                shard.unlink(missing_ok=True)
        return paths

    def _join_part(self, part: int, path: Path, shards: Sequence[Path]) -> None:
        rows, slots, phase = self._plan.rows_of_part(part), joined_slots(shards, SHARD), f"part {part}"
        attributes: dict[str, Attribute] = {
            "key": self._plan.key,
            "start": rows.start,
            "stop": rows.stop,
            "settled": canonical_json(self.settled),
        }
        with replacing(path, phase) as temporary, temporary.open("wb") as stream:
            write_sealed(stream, PART, attributes, slots=slots, parts=joined_arrays(shards, SHARD, slots), phase=phase)

    def _sweep(self) -> None:
        """Removes the temporaries of dead writers: the lock's holder is the only live one."""
        folders = (self._parts, rows_folder(self.path))
        for path in [*self._leftovers(), *(path for folder in folders for path in folder.glob("*.tmp"))]:
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
        return has_parts(found)

    def _resume(self) -> None:
        self._resume_plan()
        joined: set[int] = set()
        for part in range(self._plan.parts if self._plan.parts > 1 else 0):
            if self._has(part_path(self.path, part), partial(check_part, plan=self._plan, part=part)):
                joined.update(self._plan.shards_of(part))
        for shard in range(self.shard_count):
            path, check = shard_path(self._parts, shard), partial(check_shard, plan=self._plan, shard=shard)
            if shard not in joined and not self._has(path, check):
                self._missing.add(shard)

    def _resume_plan(self) -> None:
        for folder in (self._parts, rows_folder(self.path)):
            plan = folder / PLAN
            if plan.exists():
                try:
                    self._plan = self._plan.resumed(folder, ShardPlan.read(plan))
                    break
                except DamagedFileError:
                    set_aside(plan)
        if not (self._parts / PLAN).exists():
            self._plan.write(self._parts / PLAN)

    def _has(self, path: Path, check: Callable[[Path], dict[str, Any]]) -> bool:
        """Whether a finished shard or part is there; a damaged one is set aside."""
        if not path.exists():
            return False
        try:
            settled = check(path)
        except DamagedFileError:
            set_aside(path)
            return False
        self.settled = settled if self.settled is None else self.settled
        return True

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
            folders = " and ".join(str(folder) for folder in (self._parts, rows_folder(self.path)) if folder.exists())
            raise FercacheError(
                f"None of the {self._plan.rows} images could be read; {path} has the reasons. Fix the images, "
                f"delete {folders}, and run the same command again."
            )
