"""Atomic writes, and the error messages of a full disk."""

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import socket
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from fercache.errors import FercacheError, UsageError

PHASES = logging.getLogger("fercache.phases")
"""Logs the progress of writes at level DEBUG, so that crash tests can strike at a chosen moment."""

_BLOCK = 2**20
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]
_OURS = re.compile(r"\.(?P<pid>\d+)-(?:(?P<host>[0-9a-f]{6})-)?\w+\.tmp$")


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


def temporary_beside(path: Path) -> Path:
    """A unique name in the same folder, so that renaming is atomic."""
    return path.with_name(f"{path.name}.{os.getpid()}-{_HOST}-{uuid.uuid4().hex[:8]}.tmp")


def remove_abandoned(folder: Path) -> list[Path]:
    """Removes temporaries in and below `folder` left by dead processes of this machine; returns their paths."""
    removed = []
    for path in sorted(folder.rglob("*.tmp")):
        if is_abandoned(path):
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
                removed.append(path)
    return removed


def is_abandoned(temporary: Path) -> bool:
    """Whether a temporary was left by a dead process of this machine; False if that is not known."""
    found = _OURS.search(temporary.name)
    return found is not None and found["host"] in (None, _HOST) and not _is_alive(int(found["pid"]))


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":  # pragma: no cover; on Windows, os.kill would end the process
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True


def leftovers_of(path: Path) -> list[Path]:
    """The temporaries of `path`, in use or abandoned."""
    prefix = f"{path.name}."
    if not path.parent.is_dir():
        return []
    return sorted(p for p in path.parent.iterdir() if p.name.startswith(prefix) and p.suffix == ".tmp")


def entries(folder: Path) -> list[Path]:
    """The entries of a folder, sorted; none if it is absent. Raises UsageError if it cannot be read."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(
            f"Cannot read the folder {folder}: {error.strerror or error}. Make it readable, or set another cache in "
            "fercache.toml."
        ) from error


def sync_file(path: Path) -> None:
    """Waits until the bytes of `path` are on the disk."""
    # Windows refuses to flush a handle that cannot write.
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Makes a rename inside `folder` durable, if supported (not on Windows and some network shares)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns a failure to write `path` into a FercacheError with a remedy."""
    try:
        yield
    except OSError as error:
        raise FercacheError(_explanation(path, error)) from error


def _explanation(path: Path, error: OSError) -> str:
    if error.errno in _FULL:
        return (
            f"No room to write {path} ({error.strerror}): {_free(path)} free there. Finished work, shards included, is "
            f"kept: make room (or lift the quota), then run the same command again."
        )
    return f"Cannot write {path}: {error.strerror or error}. Fix that, then run the same command again."


def _free(path: Path) -> str:
    folder = next(p for p in path.absolute().parents if p.exists())
    return f"{shutil.disk_usage(folder).free / 2**20:.0f} MiB"


@contextmanager
def replacing(path: Path, phase: str = "") -> Iterator[Path]:
    """Yields a temporary name to write to; then flushes it to the disk and renames it to `path`.

    If the body fails, the temporary is removed and `path` is unchanged. Raises FercacheError if the disk is full.
    """
    temporary = temporary_beside(path)
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            sync_file(temporary)
            log_phase(phase, "before rename")
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    log_phase(phase, "done")


def log_phase(phase: str, what: str) -> None:
    """Logs `phase: what`, unless the write has no named phase."""
    if phase:
        PHASES.debug("%s: %s", phase, what)


def write_bytes(path: Path, data: bytes) -> Path:
    """Writes a file atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return path


def copy_stream(stream: Readable, path: Path, written: float) -> Path:
    """Writes a file from a stream, block by block, with the time when its content was last `written`."""
    with replacing(path) as temporary:
        with temporary.open("wb") as file:
            while data := stream.read(_BLOCK):
                file.write(data)
        os.utime(temporary, (written, written))
    return path


def write_text(path: Path, text: str) -> Path:
    """Writes a text file atomically, as UTF-8, with unchanged line ends. Raises UsageError for invalid characters."""
    return write_bytes(path, utf8(path, text))


def utf8(path: Path, text: str) -> bytes:
    """The text as bytes for the file at `path`. Raises UsageError for invalid characters."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        broken = text[max(error.start - 20, 0) : error.end]
        raise UsageError(f"{path} cannot be written: {broken!r} ends in an invalid character. Rename it.") from error


def write_json(path: Path, value: Any) -> Path:
    """Writes a JSON file for people and programs, atomically. Raises ValueError for NaN."""
    return write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """The content of such a file."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def set_aside(path: Path) -> Path:
    """Renames a damaged file, so that it is not used, but kept."""
    with explained(path):
        return path.replace(path.with_name(f"{path.name}.damaged"))
