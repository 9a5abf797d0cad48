"""Checks of output files and folders that a user names, before any work is done."""

import os
from pathlib import Path

from fercache.errors import UsageError

LONGEST_NAME = 255 - 20
"""Bytes: the limit of file systems, minus the suffix of temporary files."""


def check_output_file(path: Path, ending: str | tuple[str, ...], option: str) -> None:
    """Raises UsageError if no file with the `ending`, or one of them, can be written to `path`.

    Its folders need not exist yet.
    """
    where = f"{option} {shown(path)}"
    if not path.name.lower().endswith(ending):
        endings = ending if isinstance(ending, str) else " or ".join(ending)
        raise UsageError(f"{where}: the file's format is {endings}. Name a file that ends in {endings}.")
    check_output_folder(path.parent, option, of=path)
    if path.is_dir():
        raise UsageError(f"{where} is a folder. Name a file in it.")
    if path.exists() and not path.is_file():
        raise UsageError(f"{where} is not a plain file. Name another.")
    if path.exists() and not os.access(path, os.W_OK):
        raise UsageError(f"{where} is read-only. Name another file, or change its permissions.")


def check_output_folder(folder: Path, option: str, of: Path | None = None) -> None:
    """Raises UsageError if `folder` neither exists nor can be created, or is read-only.

    Nothing is created. Messages name the file `of` that will be written there, if given.
    """
    where = f"{option} {shown(of or folder)}"
    for name in (of or folder).parts:
        size = len(_encoded(name))
        if "\0" in name or not _is_file_name(name):
            raise UsageError(f"{where}: the name has characters that no file can have. Choose another.")
        if size > LONGEST_NAME:
            raise UsageError(f"{where}: a name of {size} bytes is too long. Use at most {LONGEST_NAME}.")
    try:
        there = next(place for place in (folder, *folder.parents) if _exists(place))
    except OSError as error:
        raise UsageError(f"{where} cannot be reached: {error.strerror}. Choose another place.") from None
    if not there.is_dir():
        raise UsageError(f"{where}: {shown(there)} is not a folder. Choose another place.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{where}: no permission to write to {shown(there.resolve())}. Choose another place.")


def is_plain_name(name: str) -> bool:
    """Whether `name` is a safe folder name on any system, shell and screen."""
    is_whole = name == name.strip() and not name.startswith(("-", ".")) and not name.endswith(".")
    return is_whole and name.isprintable() and name != "" and not set(name) & set('/\\:*?"<>|')


def shown(path: Path) -> str:
    """A path as one line of text: bytes that are not UTF-8, and line ends, are escaped as `\\xe9`, `\\n`."""
    text = _encoded(str(path)).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _encoded(name: str) -> bytes:
    return os.fsencode(name) if _is_file_name(name) else name.encode("utf-8", "backslashreplace")


def _is_file_name(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def _exists(place: Path) -> bool:
    """Whether the path exists, broken links included. Raises OSError if it cannot be checked."""
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
