"""Files of some rows of a table each, joined into larger ones, with one of them in memory."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.errors import FercacheError
from fercache.store.parts import QUARANTINE
from fercache.store.schema import Quarantined
from fercache.store.sealed import FileKind, SealedFile, Slot, opened


def joined_slots(files: Sequence[Path], kind: FileKind) -> dict[str, Slot]:
    """The layout of the joined file: rows added up, text as wide as the widest.

    Columns of files without a readable image have the shape of nothing, so they count only if all are. Raises
    FercacheError for files that differ.
    """
    columns: dict[str, Slot] = {}
    quarantine: dict[str, Slot] = {}
    for path in files:
        with opened(path, kind) as file:
            found = {name: slot for name, slot in file.slots.items() if not name.startswith(QUARANTINE)}
            out = {name: slot for name, slot in file.slots.items() if name.startswith(QUARANTINE)}
        quarantine = _join(quarantine, out, path) if quarantine else out
        if not columns or not columns["label"].shape[0]:
            columns = found
        elif found["label"].shape[0]:
            columns = _join(columns, found, path)
    return columns | quarantine


def joined_arrays(
    files: Sequence[Path], kind: FileKind, slots: Mapping[str, Slot]
) -> Iterator[dict[str, NDArray[Any]]]:
    """The arrays of the joined file, file by file. Raises DamagedFileError if any bit has changed."""
    for path in files:
        with opened(path, kind) as file:
            arrays = {name: _array(file, name, slot) for name, slot in slots.items()}
        yield arrays


def quarantined_in(files: Sequence[Path], kind: FileKind) -> list[Quarantined]:
    """The images that were left out, in order."""
    found = []
    for path in files:
        with opened(path, kind) as file:
            columns = [file.array(f"{QUARANTINE}{name}") for name in ("id", "reason")]
        found += [Quarantined(*pair) for pair in zip(*columns, strict=True)]
    return found


def _array(file: SealedFile, name: str, slot: Slot) -> NDArray[Any]:
    if name.startswith(QUARANTINE) or file.slots["label"].shape[0]:
        return file.raw(name)
    return np.empty((0, *slot.shape[1:]), slot.dtype)


def _join(upper: Mapping[str, Slot], lower: Mapping[str, Slot], path: Path) -> dict[str, Slot]:
    if upper.keys() != lower.keys():
        raise FercacheError(f"{path} has columns {sorted(lower)}, earlier shards have {sorted(upper)}.")
    joined = {}
    for name, slot in upper.items():
        other = lower[name]
        if slot.shape[1:] != other.shape[1:] or _differ(slot.dtype, other.dtype):
            raise FercacheError(f"{path} and earlier shards differ in shape or type of '{name}'.")
        joined[name] = Slot((slot.shape[0] + other.shape[0], *slot.shape[1:]), max(slot.dtype, other.dtype, key=_width))
    return joined


def _differ(one: np.dtype[Any], other: np.dtype[Any]) -> bool:
    return one != other and not one.kind == other.kind == "S"


def _width(dtype: np.dtype[Any]) -> int:
    return dtype.itemsize
