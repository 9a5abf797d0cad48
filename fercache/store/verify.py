"""Verify the cache: which files are damaged or left over, and what to do about each."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fercache.errors import UsageError
from fercache.store.copies import read_copies
from fercache.store.crops import check_crops, crop_files
from fercache.store.detections import read_detections
from fercache.store.locks import holder
from fercache.store.parts import part_path
from fercache.store.plan import ShardPlan
from fercache.store.prompts import read_prompts
from fercache.store.runs import changed_files, is_finished, read_predictions, read_run
from fercache.store.shards import check_shard, shard_path
from fercache.store.tables import parts_folder, quarantine_path, read_table, table_files

_EXTRACT = "run the same `fercache extract` again"
_AGAIN = f"Delete it and {_EXTRACT}."


@dataclass(frozen=True)
class Problem:
    """A file, what is wrong with it, and what to do."""

    path: Path
    what: str
    remedy: str


def steps(cache: Path) -> int:
    """How often `verify` calls `done`: once for each feature table and run."""
    return len(table_files(cache)) + len(_run_folders(cache))


def verify(cache: Path, done: Callable[[], object] = lambda: None) -> list[Problem]:
    """Reads every table (of features, copies, crops, prompts, detections), run and file of predictions.

    Checks every bit, and changes nothing. A table that another process is writing is not a problem. `done` is called
    after each of the `steps`.
    """
    busy = [path.with_suffix("") for path in (cache / "features").glob("*/*.lock") if holder(path) is not None]
    return [
        *_tables(cache, done),
        *_shards(cache, busy),
        *_parts(cache, busy),
        *_small_tables(cache / "copies", read_copies),
        *(problem for path in crop_files(cache) for problem in _attempt(path, check_crops, _AGAIN)),
        *_small_tables(cache / "prompts", read_prompts),
        *_small_tables(cache / "detections", read_detections),
        *_runs(cache, done),
        *_leftovers(cache, busy),
    ]


def _tables(cache: Path, done: Callable[[], object]) -> Iterator[Problem]:
    for path in table_files(cache):
        yield from _table(path)
        done()


def _table(path: Path) -> Iterator[Problem]:
    try:
        quarantined = read_table(path).quarantined
    except UsageError as error:
        yield Problem(path, str(error), _AGAIN)
        return
    listing, remedy = quarantine_path(path), f"Delete {path.name} and {_EXTRACT}."
    yield from _attempt(listing, partial(_check_list, table=path.name, quarantined=quarantined), remedy)


def _check_list(path: Path, table: str, quarantined: int) -> None:
    """Raises UsageError if a quarantine list does not have the rows left out of its table."""
    listed = 0
    if path.exists():
        try:
            with path.open(encoding="utf-8", errors="replace", newline="") as stream:
                listed = max(0, sum(1 for _ in csv.reader(stream)) - 1)
        except (csv.Error, OSError) as error:
            raise UsageError(f"not a readable list: {error}") from None
    if listed != quarantined:
        raise UsageError(f"{quarantined} images were left out of {table}, but {listed} are listed here")


def _parts(cache: Path, busy: Sequence[Path]) -> Iterator[Problem]:
    for folder in sorted((cache / "features").glob("*/*.rows")):
        table = folder.with_suffix(".h5")
        if not (table.exists() or parts_folder(table).exists() or folder.with_suffix("") in busy):
            what = f"the parts of a table whose list, {table.name}, is absent"
            yield Problem(folder, what, f"Delete it, or {_EXTRACT}, which keeps them.")


def _shards(cache: Path, busy: Sequence[Path]) -> Iterator[Problem]:
    for parts in sorted((cache / "features").glob("*/*.parts")):
        table = parts.with_suffix(".h5")
        if parts.with_suffix("") in busy:
            continue
        if table.exists():
            yield Problem(parts, f"left over: {table.name} is finished", f"Delete it, or {_EXTRACT}.")
        else:
            yield from _unfinished(parts)


def _unfinished(parts: Path) -> Iterator[Problem]:
    resume = f"To finish the table, {_EXTRACT}: only missing shards are extracted."
    try:
        plan = ShardPlan.read(parts / "plan.json")
    except UsageError as error:
        yield Problem(parts, str(error), resume)
        return
    present = [shard for shard in range(plan.shards) if shard_path(parts, shard).exists()]
    joined = sum(len(plan.shards_of(part)) for part in range(plan.parts) if part_path(parts, part).exists())
    yield Problem(parts, f"an unfinished table: {len(present) + joined} of {plan.shards} shards", resume)
    for shard in present:
        path = shard_path(parts, shard)
        yield from _attempt(path, partial(check_shard, plan=plan, shard=shard), resume)


def _small_tables(room: Path, read: Callable[[Path], Any]) -> Iterator[Problem]:
    for path in sorted(room.glob("*/*.h5")):
        yield from _attempt(path, read, _AGAIN)


def _run_folders(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "runs").glob("*") if path.is_dir() and path.suffix != ".tmp")


def _runs(cache: Path, done: Callable[[], object]) -> Iterator[Problem]:
    for folder in _run_folders(cache):
        yield from _run(folder)
        done()


def _run(folder: Path) -> Iterator[Problem]:
    again = "Delete the run and run the same `fercache train` again."
    imported = (folder / "records").is_dir() and not (folder / "config.json").exists()
    if not imported and not is_finished(folder):
        yield Problem(folder, "an unfinished run: it has no 'done'", again)
        return
    if not imported:
        changed = _changed(folder)
        yield from (Problem(folder / name, "absent, or changed since it was written", again) for name in changed)
        if not changed:
            yield from _attempt(folder, lambda found: read_run(found).snapshots(), again)
    for path in sorted((folder / "predictions").glob("*.h5")):
        remedy = (
            "Delete it and import them again." if imported else "Delete it and run the same `fercache evaluate` again."
        )
        yield from _attempt(path, read_predictions, remedy)


def _attempt(path: Path, read: Callable[[Path], Any], remedy: str) -> Iterator[Problem]:
    try:
        read(path)
    except UsageError as error:
        yield Problem(path, str(error), remedy)


def _changed(folder: Path) -> list[str]:
    try:
        return changed_files(folder)
    except UsageError:
        return []  # reported when the run is read


def _leftovers(cache: Path, busy: Sequence[Path]) -> Iterator[Problem]:
    for path in sorted((cache / "features").rglob("*.tmp")):
        if not any(str(path).startswith(f"{table}.") for table in busy):
            yield Problem(path, "left by a process that ended", f"Delete it, or {_EXTRACT}.")
    for room in ("copies", "crops", "detections", "prompts", "runs"):
        for path in sorted((cache / room).rglob("*.tmp")):
            yield Problem(path, "left by a process that ended", "Delete it, unless a fercache command is running now.")
    for path in sorted(cache.rglob("*.damaged")):
        yield Problem(path, "damaged, set aside and not used", "Delete it.")
