"""Rows of an array in one file or several, read on demand.

Files are read, not mapped: mapped pages would count as the process's memory until the system takes them back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fercache.errors import FercacheError


@dataclass(frozen=True, eq=False)
class Piece:
    """`rows` rows of an array, in order, from `offset` (bytes) of a file that stays open."""

    path: Path
    offset: int
    rows: int
    _stream: Any = field(init=False, repr=False)
    _one: Lock = field(init=False, repr=False, default_factory=Lock)

    def __post_init__(self) -> None:
        # An open file stays readable when another takes its name.
        object.__setattr__(self, "_stream", self.path.open("rb", buffering=0))

    def read_into(self, rows: NDArray[Any], start: int) -> None:
        """Fills `rows` (B, D), contiguous, with the rows from `start`. Raises FercacheError for a file cut short."""
        wanted = rows.reshape(-1).view(np.uint8).data
        with self._one:
            self._stream.seek(self.offset + start * (wanted.nbytes // len(rows)))
            read = self._stream.readinto(wanted)
            while 0 < read < wanted.nbytes:  # systems read at most 2 GiB at a time
                more = self._stream.readinto(wanted[read:])
                read = read + more if more else 0
        if read < wanted.nbytes:
            raise FercacheError(f"{self.path} has become shorter while it was read. Run: fercache cache verify")


class StoredRows:
    """An array (N, D) on disk; indexing reads rows, of the stored type, into memory.

    `pieces` follow one another; `index` (N,) are the rows that it consists of, by default all.
    """

    def __init__(
        self, pieces: Sequence[Piece], width: int, dtype: np.dtype[Any], index: NDArray[np.int64] | None = None
    ) -> None:
        self._pieces = tuple(pieces)
        self._ends = np.cumsum([piece.rows for piece in pieces])
        self._index = index
        self.dtype = dtype
        self.shape = (int(self._ends[-1]) if index is None else len(index), width)

    @classmethod
    def of(cls, parts: Sequence["StoredRows"]) -> "StoredRows":
        """The rows of several arrays, each whole, one after the other."""
        return cls([piece for part in parts for piece in part._pieces], parts[0].shape[1], parts[0].dtype)

    ndim = 2

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Its size in memory, once read."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def take(self, rows: NDArray[Any] | slice) -> "StoredRows":
        """The rows at indices, in a slice, or where a mask (N,) is true; nothing is read."""
        return StoredRows(self._pieces, self.shape[1], self.dtype, self._rows_of(rows))

    def __getitem__(self, rows: NDArray[Any] | slice) -> NDArray[Any]:
        wanted = self._rows_of(rows)
        if len(wanted) < 2 or (np.diff(wanted) >= 0).all():
            return self._read(wanted)
        order = np.argsort(wanted, kind="stable")
        found = np.empty((len(wanted), self.shape[1]), self.dtype)
        found[order] = self._read(wanted[order])
        return found

    def _rows_of(self, rows: NDArray[Any] | slice) -> NDArray[np.int64]:
        if isinstance(rows, slice):
            chosen = np.arange(len(self))[rows]
        else:
            rows = np.asarray(rows)
            chosen = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        return np.asarray(chosen if self._index is None else self._index[chosen])

    def _read(self, ascending: NDArray[np.int64]) -> NDArray[Any]:
        """One read per run of neighbouring rows of a piece."""
        found = np.empty((len(ascending), self.shape[1]), self.dtype)
        piece = np.searchsorted(self._ends, ascending, side="right")
        breaks = np.flatnonzero((np.diff(ascending) != 1) | (np.diff(piece) != 0)) + 1
        bounds = [0, *breaks.tolist(), len(ascending)] if len(ascending) else []
        for begin, end in pairwise(bounds):
            held = self._pieces[piece[begin]]
            held.read_into(found[begin:end], int(ascending[begin] - self._ends[piece[begin]] + held.rows))
        return found


Rows: TypeAlias = NDArray[Any] | StoredRows
"""(N, D) in memory or on disk; both are read by indexing."""


class JoinedRows:
    """The rows of several parts, one after the other; indexing with row numbers (B,) reads them."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self._parts = tuple(parts)
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        self.dtype = np.result_type(*(part.dtype for part in parts))
        self.shape = (int(self._starts[-1]), self._parts[0].shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        found = np.empty((len(rows), self.shape[1]), self.dtype)
        part = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(part):
            here = part == number
            found[here] = self._parts[number][rows[here] - self._starts[number]]
        return found


def join(parts: Sequence[Rows]) -> Rows:
    """The rows of `parts`, one after the other, of one type and width: on disk if all are, else in memory."""
    if len(parts) == 1:
        return parts[0]
    stored = [part for part in parts if isinstance(part, StoredRows)]
    if len(stored) == len(parts):
        return StoredRows.of(stored)
    return np.concatenate([part[:] for part in parts])


def take(rows: Rows, wanted: NDArray[Any] | slice) -> Rows:
    """Some of the rows: in memory if all are, else on disk."""
    return rows.take(wanted) if isinstance(rows, StoredRows) else rows[wanted]
