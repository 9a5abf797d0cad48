"""TOML files of users: settings, prompts, recipes, experiments."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fercache.errors import UsageError

LARGEST = 2**20
"""Bytes: parsing takes eighty times as much memory."""


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a file. Raises UsageError if it cannot be read, is larger than LARGEST, or is not TOML."""
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise UsageError(f"{path} is larger than {LARGEST // 2**20} MiB. Is it the right file?")
        content = tomllib.loads(data.decode("utf-8"))
        _refuse_nul(path, content)
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from None
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply to be read. Is it the right file?") from None
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}. Fix that line.") from None
    return content


def is_file(path: Path) -> bool:
    """Whether the file exists; False for invalid names, and links to themselves."""
    try:
        return path.is_file()
    except OSError:
        return False


def _refuse_nul(path: Path, content: dict[str, Any]) -> None:
    """Raises UsageError for a NUL character, which neither paths nor stored texts may contain."""
    for text in _texts(content):
        if "\0" in text:
            raise UsageError(f"{path}: {text!r} contains a NUL character. Remove it.")


def _texts(value: Any) -> Iterator[str]:
    """Every string in a value, including keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _texts(part)
