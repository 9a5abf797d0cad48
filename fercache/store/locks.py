"""One writer per table. The operating system releases the lock when its holder dies, so no lock is ever stale."""

import errno
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from fercache.errors import FercacheError
from fercache.store.atomic import explained

_BUSY = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EINVAL, getattr(errno, "ENOTSUP", errno.ENOSYS)}
_BEYOND_TEXT = 1 << 30  # Windows locks bytes, not files: lock one beyond the holder's name, so that others can read it

_held: set[int] = set()


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        os.lseek(descriptor, _BEYOND_TEXT, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _let_go_in_child() -> None:
        # A forked worker that outlives its killed parent would keep the parent's lock.
        for descriptor in _held:
            os.close(descriptor)
        _held.clear()

    os.register_at_fork(after_in_child=_let_go_in_child)


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Holds the lock file `path`, created and removed here. Raises FercacheError if another process holds it."""
    descriptor = _acquire(path)
    _held.add(descriptor)
    try:
        _write_holder(descriptor)
        yield
    finally:
        if descriptor in _held:
            _release(descriptor, path)


def holder(path: Path) -> dict[str, Any] | None:
    """The holder of the lock file `path`: pid, host, since, command (empty if unreadable); None if it is free."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        _try_lock(descriptor)
    except OSError as error:
        return _read_holder(path) if error.errno in _BUSY else None
    finally:
        os.close(descriptor)
    return None


def _acquire(path: Path) -> int:
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with explained(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _try_lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise _refusal(path, error) from error
        if _is_still(descriptor, path):
            return descriptor
        os.close(descriptor)  # its holder removed the file between our opening and locking it


def _is_still(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _release(descriptor: int, path: Path) -> None:
    _held.discard(descriptor)
    # Removed while held: a newcomer must not lock a file that is about to be removed. Windows cannot remove open files:
    # there it is removed after closing, which fails if a newcomer has opened it.
    with suppress(OSError):
        path.unlink()
    os.close(descriptor)
    if sys.platform == "win32":  # pragma: no cover
        with suppress(OSError):
            path.unlink()


def _write_holder(descriptor: int) -> None:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since, "command": command})
    with suppress(OSError):  # the name is optional; a full disk must not cost the lock
        os.ftruncate(descriptor, 0)
        os.write(descriptor, text.encode())


def _read_holder(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _refusal(path: Path, error: OSError) -> FercacheError:
    table = path.with_suffix(".h5")
    if error.errno in _BUSY:
        who = _read_holder(path)
        name = "process {pid} on {host}, since {since} ({command})".format_map(_Unknown(who))
        return FercacheError(
            f"{table} is being written by {name}. Wait until it has finished, then run the same command again: the "
            f"table is then complete. Or end that process first: its finished shards are kept."
        )
    if error.errno in _UNSUPPORTED:
        return FercacheError(
            f"The file system of {path.parent} has no file locks ({error.strerror}), without which two processes could "
            f"write one table at the same time. Choose a cache folder on a local disk."
        )
    return FercacheError(f"Cannot lock {path}: {error.strerror or error}.")


class _Unknown(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"
