"""Features of a few faces of a table and of changed copies, from which an audit learns how well it finds copies."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fercache.store.sealed import FileKind, opened, save_sealed

COPIES = FileKind("table of copies", "fercache extract --dataset NAME --encoder NAME")
_CHANGED = "changed/"


@dataclass(frozen=True)
class Copies:
    """Raw features of S faces: unchanged (S, D), and changed (S, D) by kind of change."""

    original: NDArray[Any]
    changed: Mapping[str, NDArray[Any]]


def copies_path(table: Path) -> Path:
    """`cache/copies/<encoder>/<table>`, for `cache/features/<encoder>/<table>`."""
    return table.parent.parent.parent / "copies" / table.parent.name / table.name


def write_copies(path: Path, key: str, copies: Copies) -> Path:
    """Writes the copies of the table with this key, atomically. Raises ValueError for arrays of different shapes."""
    arrays = {"original": copies.original, **{_CHANGED + kind: array for kind, array in copies.changed.items()}}
    _check(arrays)
    return save_sealed(path, COPIES, {"key": key}, arrays=arrays)


def read_copies(path: Path) -> Copies:
    """Raises UsageError if the file is absent, damaged or of a newer schema."""
    with opened(path, COPIES) as file:
        arrays = file.arrays()
        _check(arrays)
    changed = {name.removeprefix(_CHANGED): array for name, array in arrays.items() if name.startswith(_CHANGED)}
    return Copies(arrays["original"], changed)


def _check(arrays: Mapping[str, NDArray[Any]]) -> None:
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or arrays["original"].ndim != 2 or {array.dtype.kind for array in arrays.values()} != {"f"}:
        raise ValueError(f"the features of faces and their copies have shapes {sorted(map(str, shapes))}")
