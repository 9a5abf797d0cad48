"""Rows on disk are indexed like an array."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fercache.errors import FercacheError
from fercache.store.rows import JoinedRows, Piece, StoredRows, take

WIDTH, HEADER = 5, 24


def stored(folder: Path, sizes: list[int]) -> tuple[StoredRows, NDArray[np.float16]]:
    """The same rows on disk, in files of the given numbers of rows, and in memory."""
    whole = np.random.default_rng(sum(sizes)).normal(size=(sum(sizes), WIDTH)).astype(np.float16)
    pieces, start = [], 0
    for number, rows in enumerate(sizes):
        path = folder / f"{number}.bin"
        path.write_bytes(bytes(HEADER) + whole[start : start + rows].tobytes() + b"more")
        pieces.append(Piece(path, HEADER, rows))
        start += rows
    return StoredRows(pieces, WIDTH, whole.dtype), whole


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.data())
def test_rows_are_those_of_the_array(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    rows, whole = stored(tmp_path_factory.mktemp("rows"), sizes)
    assert (rows.shape, rows.dtype, len(rows), rows.nbytes) == (whole.shape, whole.dtype, len(whole), whole.nbytes)
    several = st.lists(st.integers(0, len(whole) - 1), max_size=20).map(lambda index: np.array(index, dtype=np.int64))
    mask = st.lists(st.booleans(), min_size=len(whole), max_size=len(whole)).map(np.array)
    part = st.slices(len(whole))
    wanted = data.draw(st.one_of(several, mask, part))
    np.testing.assert_array_equal(rows[wanted], whole[wanted])
    taken = take(rows, wanted)
    assert isinstance(taken, StoredRows)
    np.testing.assert_array_equal(taken[:], whole[wanted])
    again = data.draw(st.permutations(range(len(taken)))) if len(taken) else []
    order = np.array(again, dtype=np.int64)
    np.testing.assert_array_equal(taken[order], whole[wanted][order])


def test_several_parts_in_memory_and_on_disk(tmp_path: Path) -> None:
    rows, whole = stored(tmp_path, [4, 3])
    more = np.arange(2 * WIDTH, dtype=np.float32).reshape(2, WIDTH)
    joined, expected = JoinedRows([rows, more, rows.take(slice(2, 5))]), np.concatenate([whole, more, whole[2:5]])
    order = np.random.default_rng(0).permutation(len(expected))
    assert (joined.shape, joined.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(joined[order], expected[order])


def test_a_file_that_is_replaced_is_still_read(tmp_path: Path) -> None:
    rows, whole = stored(tmp_path, [6])
    other = tmp_path / "other.bin"
    other.write_bytes(b"another table")
    other.replace(tmp_path / "0.bin")
    np.testing.assert_array_equal(rows[:], whole)


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    rows, _ = stored(tmp_path, [6])
    with (tmp_path / "0.bin").open("r+b") as stream:
        stream.truncate(HEADER + 10)
    with pytest.raises(FercacheError, match=r"0\.bin has become shorter.*fercache cache verify"):
        rows[:]
