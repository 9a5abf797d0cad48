"""The columns of a feature table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.store.rows import Rows

SCHEMA = 1
"""The version of every file format of the store; a reader refuses a newer one."""

CLEAN = "clean"
"""The unchanged view of a face; others are augmented."""

TEXT = ("id", "split", "subject", "group")
"""Columns of text."""
_HASHES = ("file_sha256", "pixel_sha256")
_VIEW = "features/"


@dataclass(frozen=True)
class Quarantined:
    """An image that could not be read, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Columns:
    """Rows of a feature table, as columns of equal length N. Raises ValueError for any other shape or type.

    `id`, `split`, `subject`, `group` (N,) str objects; `label` (N,) int16, -1 for none; `votes` (N, V) int16 or None;
    `features` view -> (N, D) float16 or float32, raw, perhaps on disk; `file_sha256`, `pixel_sha256` (N, 32) uint8.
    """

    id: NDArray[np.object_]
    split: NDArray[np.object_]
    subject: NDArray[np.object_]
    group: NDArray[np.object_]
    label: NDArray[np.int16]
    votes: NDArray[np.int16] | None
    features: dict[str, Rows]
    file_sha256: NDArray[np.uint8]
    pixel_sha256: NDArray[np.uint8]

    def __post_init__(self) -> None:
        rows = len(self.label)
        for name, array in self.arrays().items():
            types, trailing = _expected(name)
            if array.dtype.str not in types or array.ndim != 1 + len(trailing) or len(array) != rows:
                raise ValueError(f"'{name}' has shape {array.shape} and type {array.dtype}, in a table of {rows} rows")
            if any(width not in (None, found) for width, found in zip(trailing, array.shape[1:], strict=True)):
                raise ValueError(f"'{name}' has {array.shape[1]} columns instead of {trailing[0]}")

    def __len__(self) -> int:
        return len(self.label)

    def arrays(self) -> dict[str, Rows]:
        """The columns by their names in the file; `votes` only if there are any."""
        columns: dict[str, Rows] = {name: getattr(self, name) for name in (*TEXT, "label", *_HASHES)}
        if self.votes is not None:
            columns["votes"] = self.votes
        return columns | {f"{_VIEW}{view}": array for view, array in self.features.items()}

    def digests(self, rows: NDArray[Any] | slice) -> NDArray[np.bytes_]:
        """(N',) The pixel hashes of some rows, in a form that can be compared and sorted."""
        digests: NDArray[np.bytes_] = np.ascontiguousarray(self.pixel_sha256[rows]).view("S32").ravel()
        return digests

    @classmethod
    def of(cls, arrays: Mapping[str, Rows]) -> "Columns":
        """The inverse of `arrays`; unknown names are ignored. Raises ValueError if one is missing."""
        if missing := [name for name in (*TEXT, "label", *_HASHES) if name not in arrays]:
            raise ValueError(f"'{missing[0]}' is missing")
        features = {name: arrays[f"{_VIEW}{name}"] for name in views_of(arrays)}
        if not features:
            raise ValueError("it holds no features")
        plain: dict[str, Any] = {name: arrays[name] for name in (*TEXT, "label", *_HASHES, "votes") if name in arrays}
        return cls(**{"votes": None, **plain}, features=features)


def is_view(name: str) -> bool:
    """Whether an array of a file has the features of a view."""
    return name.startswith(_VIEW)


def views_of(names: Mapping[str, Any]) -> tuple[str, ...]:
    """The views among the names of a file's arrays, the clean one first."""
    views = [name.removeprefix(_VIEW) for name in names if is_view(name)]
    return tuple(sorted(views, key=lambda view: (view != CLEAN, view)))


def check_columns(columns: Columns, classes: tuple[str, ...], vote_columns: tuple[str, ...]) -> None:
    """Raises ValueError if a label has no class, or the votes do not fit `vote_columns`."""
    if len(columns) and not -1 <= columns.label.min() <= columns.label.max() < len(classes):
        raise ValueError(f"a label is not one of the {len(classes)} classes")
    votes = 0 if columns.votes is None else columns.votes.shape[1]
    if votes != len(vote_columns):
        raise ValueError(f"there are {votes} columns of votes, and {len(vote_columns)} names for them")


def _expected(name: str) -> tuple[tuple[str, ...], tuple[int | None, ...]]:
    """Types, and sizes of the other axes (None: any)."""
    if name in TEXT:
        return ("|O",), ()
    if name == "label":
        return ("<i2",), ()
    if name in _HASHES:
        return ("|u1",), (32,)
    return (("<i2",) if name == "votes" else ("<f2", "<f4")), (None,)
