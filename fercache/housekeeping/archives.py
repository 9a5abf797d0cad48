"""One file with runs and datasets of the cache, to continue on another machine or to share.

The file is a tar, not compressed: features, weights and predictions are numbers that hardly shrink. Its first member
lists all others with their size and SHA-256.
"""

import hashlib
import io
import tarfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel, ConfigDict, Field

from fercache.errors import FercacheError, UsageError
from fercache.housekeeping.references import references
from fercache.housekeeping.removal import crops_belongings, items_of
from fercache.identity import file_hash
from fercache.images.corruptions import SHIFTED
from fercache.loading.run_summaries import RunSummary, summaries
from fercache.loading.tables import same_encoder
from fercache.store.atomic import replacing
from fercache.store.belongings import belongings, files_in
from fercache.store.crops import crop_files, crops_info, faces_of
from fercache.store.runs import is_finished
from fercache.store.tables import TableInfo, find_tables

MANIFEST = "fercache-cache.json"
SCHEMA = 1
ROOMS = ("features", "copies", "crops", "prompts", "runs")
"""The folders of a cache that an archive may have; detections, maps and thumbnails are computed again."""
Step = Callable[[int], object]


class Member(BaseModel):
    """A file of an archive: its path in the cache, its bytes and their hash."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What an archive holds."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    schema_version: int
    files: tuple[Member, ...]


def files_to_export(cache: Path, names: Sequence[str]) -> list[Path]:
    """The files of runs, methods, tables and datasets, sorted: those of a run with everything that it refers to.

    That is the tables that it was trained and scored on, their crops and copies, and its prompts. So an import of a run
    can be scored, trained again and compared. Raises UsageError for an unknown name, and for an unfinished run.
    """
    items = items_of(cache, names)
    places = [path for item in items for path in item.paths]
    tables = {table.path: table for table in find_tables(cache)}
    chosen = [tables[path] for path in places if path in tables]
    runs = [run for run in summaries(cache) if run.folder in places]
    for run in runs:
        if not run.is_imported and not is_finished(run.folder):
            raise UsageError(
                f"{run.name} is not finished: it has no file 'done'. Delete {run.folder}, and train again."
            )
    chosen += _tables_of(runs, list(tables.values()))
    for table in {table.path: table for table in chosen}.values():
        places += [*belongings(table.path), *_crops_of(cache, table)]
    places += _prompts_of(cache, chosen, runs)
    found = {path for place in places for path, _ in files_in(place) if not is_temporary(path.relative_to(cache))}
    return sorted(found)


def _tables_of(runs: Sequence[RunSummary], tables: Sequence[TableInfo]) -> list[TableInfo]:
    """The tables that runs and their records refer to, and the shifted images of their sources."""
    found = references(runs)
    chosen = [table for table in tables if found.of_table(table.clean_key)]
    for run in runs:
        names = {f"{part['name']}+{SHIFTED}" for part in run["pool"] or [{"name": run["source"]}]}
        identity = run["encoder_identity"] or {}
        chosen += [
            t for t in tables if t.identity["dataset"] in names and same_encoder(t.identity["encoder"], identity)
        ]
    return chosen


def _crops_of(cache: Path, table: TableInfo) -> list[Path]:
    found = []
    for path in crop_files(cache):
        with suppress(UsageError):
            found += crops_belongings(path) if faces_of(crops_info(path).identity) == faces_of(table.identity) else []
    return found


def _prompts_of(cache: Path, tables: Sequence[TableInfo], runs: Sequence[RunSummary]) -> list[Path]:
    """The prompts of the encoders of tables and runs: without them, heads that read text cannot be trained."""
    encoders = {table.path.parent.name for table in tables} | {str(run["encoder"]) for run in runs}
    return [cache / "prompts" / encoder for encoder in sorted(encoders) if (cache / "prompts" / encoder).is_dir()]


def is_temporary(path: Path) -> bool:
    """Whether a file is not a finished part of a cache."""
    return any(part.endswith((".tmp", ".damaged", ".lock", ".parts")) for part in path.parts)


def export_files(cache: Path, paths: Sequence[Path], file: Path, step: Step = lambda _: None) -> Path:
    """Writes an archive atomically. `step` is called with bytes, in all twice those of the files: hashed, then written.

    Raises FercacheError if a file changes meanwhile, or the disk is full.
    """
    members = []
    for path in paths:
        members.append(
            Member(path=path.relative_to(cache).as_posix(), bytes=path.stat().st_size, sha256=file_hash(path))
        )
        step(members[-1].bytes)
    manifest = Manifest(schema_version=SCHEMA, files=tuple(members)).model_dump_json(indent=1).encode()
    with replacing(file) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, MANIFEST, io.BytesIO(manifest), size=len(manifest))
        for path, member in zip(paths, members, strict=True):
            with path.open("rb") as stream:
                read = Hashed(stream)
                _add(archive, member.path, read, size=member.bytes, written=path.stat().st_mtime)
            if read.sha256 != member.sha256:
                raise FercacheError(f"{path} changed while it was exported. Run the same command again.")
            step(member.bytes)
    return file


class Hashed:
    """A stream that hashes what is read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._digest = stream, hashlib.sha256()

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        data = self._stream.read(size)
        self._digest.update(data)
        return data

    @property
    def sha256(self) -> str:
        """The hash of everything that was read."""
        return self._digest.hexdigest()


def _add(archive: tarfile.TarFile, name: str, stream: Any, *, size: int, written: float = 0) -> None:
    """Adds a file, with the time when it was last written and without its owner."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, int(written)
    archive.addfile(info, stream)
