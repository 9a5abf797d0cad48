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

from filelock import FileLock, Timeout, lock_descriptor

from fercache.errors import FercacheError
from fercache.store.atomic import explained

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EINVAL, getattr(errno, "ENOTSUP", errno.ENOSYS)}
_LOCKED = b" "
"""Windows locks the first byte of the file, so the holder's name starts at the second: others can read it."""


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Holds the lock file `path`, created and removed here. Raises FercacheError if another process holds it."""
    # A little patience: a holder that ends between our opening and locking the file removes it, and we try again.
    lock = FileLock(path, timeout=0.1, poll_interval=0.02, fallback_to_soft=False, on_acquired=_write_holder)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except OSError as error:
            _refuse(path, error)
            raise
    try:
        yield
    finally:
        if lock.is_locked:  # not in a forked child, which has no part in its parent's lock
            with suppress(OSError):
                path.unlink()  # while it is held: a newcomer must not lock a file that is about to be removed
            lock.release()


def holder(path: Path) -> dict[str, Any] | None:
    """The holder of the lock file `path`: pid, host, since, command (empty if unreadable); None if it is free."""
    with suppress(OSError), path.open("r+b") as file:
        if not lock_descriptor(file.fileno(), blocking=False):
            return _read_holder(path)
    return None


def _write_holder(descriptor: int) -> None:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since, "command": command})
    with suppress(OSError):  # the name is optional; a full disk must not cost the lock
        os.ftruncate(descriptor, 0)
        os.write(descriptor, _LOCKED + text.encode())


def _read_holder(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(len(_LOCKED))
            found = json.loads(file.read())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _refuse(path: Path, error: OSError) -> None:
    """Raises FercacheError if another process holds the lock, or the file system has none."""
    if isinstance(error, Timeout):
        who = dict.fromkeys(("pid", "host", "since", "command"), "?") | _read_holder(path)
        raise FercacheError(
            f"{path.with_suffix('.h5')} is being written by process {who['pid']} on {who['host']}, since "
            f"{who['since']} ({who['command']}). Wait until it has finished, then run the same command again: the "
            "table is then complete. Or end that process first: its finished shards are kept."
        ) from error
    if error.errno in _UNSUPPORTED:
        raise FercacheError(
            f"The file system of {path.parent} has no file locks ({error.strerror}), without which two processes could "
            "write one table at the same time. Choose a cache folder on a local disk."
        ) from error
