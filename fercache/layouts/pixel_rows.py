"""Faces as rows of numbers in a CSV file (`fer2013.csv`): found in one pass in flat memory, read one at a time."""

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fercache.errors import UsageError
from fercache.layouts.lists import refuse_repeated

SIDE = 48
PIXELS = "pixels"


@dataclass(frozen=True, slots=True)
class PixelRow:
    """Where a face begins in its file, the requested cells, and a hash (32 bytes) of its line."""

    offset: int
    cells: tuple[str, ...]
    fingerprint: bytes


def find_rows(path: Path, wanted: Sequence[str]) -> Iterator[PixelRow]:
    """Every row of `path`, with its cells in the columns `wanted`; one line at a time is in memory.

    Raises UsageError with the line for missing columns and for rows that lack a cell.
    """
    with path.open("rb") as stream:
        names = _names(next(stream, b""))
        columns = _positions(path, names, wanted)
        offset = stream.tell()
        for number, text in enumerate(stream, start=2):
            if text.strip():
                cells = [cell.strip(b' "\r\n').decode("ascii", "replace") for cell in text.split(b",")]
                if len(cells) != len(names):
                    raise UsageError(
                        f"{path}, line {number}: {len(cells)} cells, but the header has {len(names)}. "
                        "Take the original file."
                    )
                yield PixelRow(offset, tuple(cells[c] for c in columns[:-1]), hashlib.sha256(text).digest())
            offset += len(text)


def read_row(path: Path, offset: int) -> NDArray[np.uint8]:
    """The image (SIDE, SIDE, 3) whose row begins at `offset`. Raises OSError if the row is not an image."""
    with path.open("rb") as stream:
        column = _positions(path, _names(next(stream, b"")), ())[0]
        stream.seek(offset)
        text = stream.readline().decode("ascii", "replace")
    try:
        cells = next(csv.reader(io.StringIO(text)))
        grey = np.frombuffer(bytes(map(int, cells[column].split())), dtype=np.uint8)
        return np.repeat(grey.reshape(SIDE, SIDE, 1), 3, axis=2)
    except (ValueError, IndexError, csv.Error) as error:
        raise OSError(f"not {SIDE} x {SIDE} numbers from 0 to 255: {error}") from None


def _names(header: bytes) -> list[str]:
    return [name.strip(b' "\r\n\xef\xbb\xbf').decode("ascii", "replace") for name in header.split(b",")]


def _positions(path: Path, names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Positions of the columns `wanted`, then of the pixels."""
    missing = [name for name in (*wanted, PIXELS) if name not in names]
    if missing:
        raise UsageError(
            f"{path}: no column {', '.join(missing)}; expected {', '.join((*wanted, PIXELS))}, "
            f"found {', '.join(names)[:200]}. Take the original file."
        )
    refuse_repeated(names, path)
    return [names.index(name) for name in (*wanted, PIXELS)]
