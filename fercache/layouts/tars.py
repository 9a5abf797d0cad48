"""Tar files of images: scanned once, read by offset, never unpacked."""

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from fercache.errors import UsageError
from fercache.layouts.folders import LARGEST_FILE, TOO_LARGE
from fercache.layouts.remote import opened, read, shown

LARGEST_NOTE = 2**20
"""Bytes of a label or description, and of a name or header before a member."""
_BLOCK, _RECORD = 2**20, 512
_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a tar: the offset and SHA-256 of its bytes; `refused` is the reason not to read it, if any.

    `note` holds the bytes of a small file with a requested suffix.
    """

    name: str
    offset: int
    size: int
    sha256: bytes
    refused: str
    note: bytes | None


class _Info(tarfile.TarInfo):
    """Refuses headers that `tarfile` would read into memory whole, whatever their size."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        if info.type in _HEADERS and info.size > LARGEST_NOTE:
            raise tarfile.ReadError(f"a header of {info.size} bytes")
        return info


def members(tar: Path, notes: tuple[str, ...]) -> Iterator[Member]:
    """Every member except folders, in order; one block of one member is in memory.

    Raises UsageError for a file that is not a tar, is compressed (its members have no offset) or is truncated, and for
    a note that is too large.
    """
    number, end = 0, 0
    try:
        # Fewer, larger reads than tarfile's own.
        with (
            opened(tar) as stream,
            tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK, tarinfo=_Info) as archive,
        ):
            for info in archive:
                if info.size < 0:
                    raise tarfile.ReadError(f"{info.name} has a size of {info.size} bytes")
                if info.size > LARGEST_NOTE and info.name.lower().endswith(notes):
                    raise UsageError(
                        f"{shown(tar)}: {info.name} has {info.size} bytes, but a label or description has at most "
                        f"{LARGEST_NOTE}. Remove or rename it."
                    )
                number, end = number + 1, info.offset_data + -(-info.size // _RECORD) * _RECORD
                archive.members.clear()  # type: ignore[attr-defined]  # else it keeps every member
                if not info.isdir():
                    yield _member(archive, info, notes)
        if read(tar, end, _RECORD) != bytes(_RECORD):  # tarfile does not report a missing end
            raise tarfile.ReadError("it ends too early")
    except (tarfile.TarError, ValueError, OverflowError) as error:  # the last two: numbers in headers
        raise UsageError(
            f"{shown(tar)} is not a plain tar, or is damaged after {number} members: {error}. Unpack a compressed tar "
            "to .tar: its members cannot be read by offset."
        ) from None
    except OSError as error:
        raise UsageError(f"{shown(tar)} cannot be read: {error.strerror or error}.") from None


def read_member(tar: Path, offset: int, size: int, refused: str) -> bytes:
    """The bytes of a member. Raises OSError if it is refused, too large for an image, or missing."""
    if refused:
        raise PermissionError(refused)
    if size > LARGEST_FILE:
        raise OSError(TOO_LARGE)
    data = read(tar, offset, size)
    if len(data) < size:
        raise OSError("the tar has become shorter")
    return data


def _member(archive: tarfile.TarFile, info: tarfile.TarInfo, notes: tuple[str, ...]) -> Member:
    refused = _refused(info)
    stream = None if refused else archive.extractfile(info)
    digest, note = hashlib.sha256(), None
    if stream is not None:
        if info.name.lower().endswith(notes):
            note = stream.read()
        else:
            for block in iter(partial(stream.read, _BLOCK), b""):
                digest.update(block)
    return Member(info.name, info.offset_data, info.size, sha256=digest.digest(), refused=refused, note=note)


def _refused(info: tarfile.TarInfo) -> str:
    if not info.isreg():
        return "a link or device in a tar"
    if info.name.startswith("/") or ".." in info.name.split("/"):
        return "its name leads out of the tar"
    if info.issparse():
        return "a sparse file in a tar"
    return ""
