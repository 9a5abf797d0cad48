"""Which files of the cache belong together, and removing them: renamed first, then deleted.

A renamed file is a temporary one of this process. So a command that is killed half way leaves no table or run that is
there in part, and what it left is removed like any other temporary file.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from fercache.store.asked import asked_path
from fercache.store.atomic import explained, sync_folder, temporary_beside
from fercache.store.copies import copies_path
from fercache.store.parts import rows_folder
from fercache.store.tables import parts_folder, quarantine_path


def belongings(table: Path) -> list[Path]:
    """The files and folders of a feature table that are there; first the file without which it does not count."""
    every = (table, rows_folder(table), parts_folder(table), quarantine_path(table), asked_path(table))
    return [path for path in (*every, copies_path(table)) if os.path.lexists(path)]


def renamed(paths: Iterable[Path]) -> list[Path]:
    """Renames files and folders in this order, so that nothing uses them; returns their temporary names.

    One that is gone is left out. Raises FercacheError if one cannot be renamed.
    """
    moved = []
    for path in paths:
        with explained(path), suppress(FileNotFoundError):
            moved.append(path.rename(temporary_beside(path)))
            sync_folder(path.parent)
    return moved


def delete(paths: Sequence[Path]) -> None:
    """Deletes renamed files and folders. Raises FercacheError if one cannot be deleted."""
    for path in paths:
        with explained(path), suppress(FileNotFoundError):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def files_in(place: Path) -> Iterator[tuple[Path, int]]:
    """Every file in or below `place`, with its bytes; links are not followed. What vanishes meanwhile is left out."""
    with suppress(OSError):
        if not place.is_dir() or place.is_symlink():
            yield place, place.lstat().st_size
            return
    for folder, _, names in os.walk(place):
        for name in names:
            path = Path(folder, name)
            with suppress(OSError):
                yield path, path.lstat().st_size


def bytes_of(paths: Iterable[Path]) -> int:
    """The bytes of files and folders."""
    return sum(size for path in paths for _, size in files_in(path))
