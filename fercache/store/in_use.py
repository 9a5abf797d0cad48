"""Which tables and runs a command needs until it ends, so that no other command removes them meanwhile.

A command notes what it needs in `cache/in-use/`, in a file that it locks; the operating system releases the lock when
the command dies. A command that removes files holds one more lock while it looks at the notes and renames the files.
So a table is either noted before the removal, which then keeps it, or gone before it is read.
"""

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fercache.errors import FercacheError
from fercache.store.atomic import entries, explained, write_json
from fercache.store.locks import holder, holding

FOLDER = "in-use"
PATIENCE = 60.0
"""Seconds to wait for a command that renames files; it takes milliseconds."""
_NOTE, _LOCK, _REMOVAL = ".json", ".lock", "removal.lock"


@contextmanager
def using(cache: Path, paths: Iterable[Path]) -> Iterator[None]:
    """Notes that this process needs the `paths`, which may not exist yet.

    Without `paths`, or if the cache cannot be written to, there is no note. Raises FercacheError if another command
    removes files for longer than PATIENCE.
    """
    needed = list(dict.fromkeys(str(path.absolute()) for path in paths))
    if not needed or not _is_writable(cache):
        yield
        return
    note = cache / FOLDER / f"{os.getpid()}-{uuid.uuid4().hex[:8]}{_NOTE}"
    with ExitStack() as held:
        with removing(cache):
            held.enter_context(holding(note.with_suffix(_LOCK)))
            held.callback(note.unlink, missing_ok=True)
            write_json(note, needed)
        yield


@contextmanager
def removing(cache: Path) -> Iterator[None]:
    """No other command begins to use, or removes, files of the cache inside this context, which should be short."""
    folder = cache / FOLDER
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _REMOVAL, timeout=PATIENCE, fallback_to_soft=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise FercacheError(
                f"Another command has been removing files of {cache} for a minute. Wait until it has finished, then "
                "run the same command again."
            ) from error
    try:
        _clear(cache)
        yield
    finally:
        lock.release()


def in_use(cache: Path) -> dict[Path, dict[str, Any]]:
    """What running commands need, with the holder of each: pid, host, since, command."""
    found: dict[Path, dict[str, Any]] = {}
    for lock, who in _holders(cache):
        if who is not None:
            with suppress(OSError, ValueError):
                note = lock.with_suffix(_NOTE).read_text(encoding="utf-8")
                found |= {Path(path): who for path in json.loads(note)}
    return found


def _holders(cache: Path) -> Iterator[tuple[Path, dict[str, Any] | None]]:
    for lock in entries(cache / FOLDER):
        if lock.suffix == _LOCK and lock.name != _REMOVAL:
            yield lock, holder(lock)


def _clear(cache: Path) -> None:
    """Removes the notes of dead processes."""
    for lock, who in _holders(cache):
        if who is None:
            for left in (lock.with_suffix(_NOTE), lock):
                with suppress(OSError):
                    left.unlink(missing_ok=True)


def _is_writable(cache: Path) -> bool:
    folder = cache / FOLDER
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return os.access(there, os.W_OK)
