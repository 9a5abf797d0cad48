"""Files that fsspec reaches (`s3://bucket/faces`, `gs://...`, `https://...`), read like local ones.

A `Path` made of an address has lost one of its two slashes; `address_of` restores it.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from fercache.errors import UsageError

_STAMPS = ("ETag", "etag", "md5Hash", "Content-MD5", "LastModified", "Last-Modified", "last_modified", "mtime", "size")
"""Entries by which fsspec's stores identify a file's content."""


def address_of(path: Path) -> str | None:
    """The address that a path was made from; None for a local path."""
    match = re.fullmatch(r"([a-z][a-z0-9+.-]+):/+(.+)", path.as_posix())
    if match is None:
        return None
    root = "/" if match[1] in ("file", "local") else ""  # these have no host
    return f"{match[1]}://{root}{match[2]}"


def local(path: Path) -> Path:
    """A `file://` address as a local path; anything else unchanged."""
    address = address_of(path) or ""
    scheme, _, place = address.partition("://")
    return Path(place) if scheme in ("file", "local") else path


def shown(path: Path) -> str:
    """A path or address as the user wrote it, for messages."""
    return address_of(path) or str(path)


def exists(path: Path) -> bool:
    """Whether a file or folder exists. Raises UsageError for an address that cannot be reached."""
    if address_of(path) is None:
        try:
            return path.exists()
        except OSError:  # no file system accepts such a name
            return False
    system, name = _system(path)
    with _failing_as(UsageError, path):
        return bool(system.exists(name))


def files_in(folder: Path, suffix: str) -> list[Path]:
    """The files with a `suffix` directly in a folder, sorted; a file counts as containing itself."""
    address = address_of(folder)
    if address is None:
        found = folder.iterdir() if folder.is_dir() else [folder]
        return sorted(path for path in found if path.name.endswith(suffix) and path.is_file())
    system, name = _system(folder)
    with _failing_as(UsageError, folder):
        names = [name] if not system.isdir(name) else system.ls(name, detail=False)
    return sorted(path for path in _paths(address, names) if path.name.endswith(suffix))


def folders_in(folder: Path) -> list[Path]:
    """The folders directly in a folder, sorted, without hidden ones; a file has none."""
    address = address_of(folder)
    if address is None:
        found = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
        return sorted(path for path in found if not path.name.startswith("."))
    system, name = _system(folder)
    with _failing_as(UsageError, folder):
        inside = system.ls(name, detail=True) if system.isdir(name) else []
    names = [each["name"] for each in inside if each.get("type") == "directory"]
    return sorted(_paths(address, names))


def _paths(address: str, names: Iterable[str]) -> Iterator[Path]:
    """A store's file names as paths of addresses."""
    scheme = address.partition("://")[0]
    return (Path(each if "://" in each else f"{scheme}://{each.lstrip('/')}") for each in names)


def opened(path: Path) -> BinaryIO:
    """A stream at the start of a file. Raises OSError."""
    if address_of(path) is None:
        return path.open("rb")
    system, name = _system(path)
    with _failing_as(OSError, path):
        stream: BinaryIO = system.open(name, "rb")
    return stream


def read(path: Path, begin: int = 0, size: int | None = None) -> bytes:
    """`size` bytes from `begin`, or all; only these are fetched from a remote file. Raises OSError."""
    if address_of(path) is None:
        with path.open("rb") as stream:
            stream.seek(begin)
            return stream.read(-1 if size is None else size)
    system, name = _system(path)
    with _failing_as(OSError, path):
        data: bytes = system.cat_file(name, start=begin, end=None if size is None else begin + size)
    return data


def stamp(path: Path) -> bytes:
    """32 bytes that change with a remote file's content, as far as its store reports; the file is not read.

    Raises OSError if the file is missing.
    """
    system, name = _system(path)
    with _failing_as(OSError, path):
        info = system.info(name)
    stamps = {key: str(info[key]) for key in _STAMPS if info.get(key) is not None}
    return hashlib.sha256(repr([name, *stamps.items()]).encode()).digest()


def _system(path: Path) -> tuple[Any, str]:
    """The file system of an address, and the file's name there. Raises UsageError for an unknown file system."""
    import fsspec

    address = address_of(path)
    try:
        system, name = fsspec.core.url_to_fs(address)
    except Exception as error:  # each file system reports missing requirements in its own way
        raise UsageError(f"{address} cannot be read: {error}") from None
    return system, name


@contextmanager
def _failing_as(kind: type[UsageError] | type[OSError], path: Path) -> Iterator[None]:
    """Turns any exception of a store into one `kind`."""
    try:
        yield
    except kind:
        raise
    except Exception as error:
        raise kind(f"{address_of(path)} cannot be reached: {str(error) or type(error).__name__}") from error
