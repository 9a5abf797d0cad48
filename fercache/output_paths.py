"""Places that a user names for results: checked before the work, so that none is done for nothing."""

import os
from pathlib import Path

from fercache.errors import UsageError

LONGEST_NAME = 255 - 20
"""Bytes: what file systems take, less what temporary names add."""


def check_output_file(path: Path, ending: str, option: str) -> None:
    """Raises UsageError where no file can be written to `path`; its folders need not be there yet."""
    where = f"{option} {shown(path)}"
    if not path.name.lower().endswith(ending):
        raise UsageError(f"{where}: the file's format is {ending}. Name a file that ends in {ending}.")
    check_output_folder(path.parent, option, of=path)
    if path.is_dir():
        raise UsageError(f"{where} is a folder. Name a file in it.")
    if path.exists() and not path.is_file():
        raise UsageError(f"{where} is no plain file. Name another.")
    if path.exists() and not os.access(path, os.W_OK):
        raise UsageError(f"{where} may not be changed. Name another file, or change its permissions.")


def check_output_folder(folder: Path, option: str, of: Path | None = None) -> None:
    """Raises UsageError where `folder` is not there and cannot be made, or takes no files.

    Nothing is made yet. Messages name `of`, a file that is going to lie in it, where there is one.
    """
    where = f"{option} {shown(of or folder)}"
    for name in (of or folder).parts:
        size = len(_encoded(name))
        if "\0" in name or not _is_file_name(name):
            raise UsageError(f"{where}: no file can have a name with such characters. Name another.")
        if size > LONGEST_NAME:
            raise UsageError(f"{where}: a name of {size} bytes is too long. Use {LONGEST_NAME} at most.")
    try:
        there = next(place for place in (folder, *folder.parents) if _exists(place))
    except OSError as error:
        raise UsageError(f"{where} cannot be reached: {error.strerror}. Name another place.") from None
    if not there.is_dir():
        raise UsageError(f"{where}: {shown(there)} is no folder. Name another place.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{where}: you may not write to {shown(there.resolve())}. Name another place.")


def is_plain_name(name: str) -> bool:
    """Whether any system, shell and screen takes `name` for a folder's name, and nothing else."""
    is_whole = name == name.strip() and not name.startswith(("-", ".")) and not name.endswith(".")
    return is_whole and name.isprintable() and name != "" and not set(name) & set('/\\:*?"<>|')


def shown(path: Path) -> str:
    """A path as a line of text for any screen or file: bytes that are not UTF-8, and line ends, as `\\xe9`, `\\n`."""
    text = _encoded(str(path)).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _encoded(name: str) -> bytes:
    return os.fsencode(name) if _is_file_name(name) else name.encode("utf-8", "backslashreplace")


def _is_file_name(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # half a character
        return False
    return True


def _exists(place: Path) -> bool:
    """Whether something is there, a link to nothing included. Raises OSError for what cannot be asked for."""
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
