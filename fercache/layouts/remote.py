"""Files that fsspec reaches: `s3://bucket/faces`, `gs://...`, `https://...`. A local path is a local path.

A `Path` made of an address has lost one of its two slashes; `address_of` gives it back.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from fercache.errors import UsageError

_STAMPS = ("ETag", "etag", "md5Hash", "Content-MD5", "LastModified", "Last-Modified", "last_modified", "mtime", "size")
"""What the stores that fsspec knows say of a file's content."""


def address_of(path: Path) -> str | None:
    """The address that a path was made of; None for a local one."""
    match = re.fullmatch(r"([a-z][a-z0-9+.-]+):/+(.+)", path.as_posix())
    if match is None:
        return None
    root = "/" if match[1] in ("file", "local") else ""  # where the path begins at once, and not with a host
    return f"{match[1]}://{root}{match[2]}"


def local(path: Path) -> Path:
    """A `file://` address as the path that it is; anything else stays."""
    address = address_of(path) or ""
    scheme, _, place = address.partition("://")
    return Path(place) if scheme in ("file", "local") else path


def shown(path: Path) -> str:
    """A path or address as its user wrote it, for messages."""
    return address_of(path) or str(path)


def exists(path: Path) -> bool:
    """Whether there is a file or folder. Raises UsageError for an address that cannot be reached at all."""
    if address_of(path) is None:
        try:
            return path.exists()
        except OSError:  # no system could have such a name
            return False
    system, name = _system(path)
    with _failing_as(UsageError, path):
        return bool(system.exists(name))


def files_in(folder: Path, suffix: str) -> list[Path]:
    """The files directly in a folder whose names end so, by name; a file is in itself."""
    address = address_of(folder)
    if address is None:
        found = folder.iterdir() if folder.is_dir() else [folder]
        return sorted(path for path in found if path.name.endswith(suffix) and path.is_file())
    system, name = _system(folder)
    with _failing_as(UsageError, folder):
        names = [name] if not system.isdir(name) else system.ls(name, detail=False)
    return sorted(path for path in _paths(address, names) if path.name.endswith(suffix))


def folders_in(folder: Path) -> list[Path]:
    """The folders directly in a folder, by name, but for hidden ones; a file has none."""
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
    """What a store calls its files, as paths of addresses."""
    scheme = address.partition("://")[0]
    return (Path(each if "://" in each else f"{scheme}://{each.lstrip('/')}") for each in names)


def opened(path: Path) -> BinaryIO:
    """For reading from its start. Raises OSError."""
    if address_of(path) is None:
        return path.open("rb")
    system, name = _system(path)
    with _failing_as(OSError, path):
        stream: BinaryIO = system.open(name, "rb")
    return stream


def read(path: Path, begin: int = 0, size: int | None = None) -> bytes:
    """Some bytes, or all from `begin` on; of a remote file only these are fetched. Raises OSError."""
    if address_of(path) is None:
        with path.open("rb") as stream:
            stream.seek(begin)
            return stream.read(-1 if size is None else size)
    system, name = _system(path)
    with _failing_as(OSError, path):
        data: bytes = system.cat_file(name, start=begin, end=None if size is None else begin + size)
    return data


def stamp(path: Path) -> bytes:
    """32 bytes that change with a remote file's content, as far as its store tells; nothing of it is read.

    Raises OSError when it is not there.
    """
    system, name = _system(path)
    with _failing_as(OSError, path):
        info = system.info(name)
    told = {key: str(info[key]) for key in _STAMPS if info.get(key) is not None}
    return hashlib.sha256(repr([name, *told.items()]).encode()).digest()


def _system(path: Path) -> tuple[Any, str]:
    """The file system that an address is of, and the file's name there. Raises UsageError for one that is unknown."""
    import fsspec

    address = address_of(path)
    try:
        system, name = fsspec.core.url_to_fs(address)
    except Exception as error:  # each file system has its own way to say what else it needs
        raise UsageError(f"{address} cannot be read: {error}") from None
    return system, name


@contextmanager
def _failing_as(kind: type[UsageError] | type[OSError], path: Path) -> Iterator[None]:
    """Every store has exceptions of its own: they become of one `kind`."""
    try:
        yield
    except kind:
        raise
    except Exception as error:
        raise kind(f"{address_of(path)} cannot be reached: {str(error) or type(error).__name__}") from error
