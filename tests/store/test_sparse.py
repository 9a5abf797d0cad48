"""The file in memory reads back what was written, like any other."""

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.store.sparse import SparseMemory

steps = st.lists(st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=20)), max_size=12)


@given(steps)
@settings(max_examples=50, deadline=None)
def test_reads_like_a_file(written: list[tuple[int, bytes]]) -> None:
    sparse, whole = SparseMemory(), io.BytesIO()
    for offset, data in written:
        for stream in (sparse, whole):
            stream.seek(offset)
            stream.write(data)
    assert sparse.seek(0, io.SEEK_END) == whole.seek(0, io.SEEK_END)
    for start in (0, 7, 100):
        sparse.seek(start)
        whole.seek(start)
        assert sparse.read(30) == whole.read(30)


def test_holds_only_what_was_written() -> None:
    memory = SparseMemory()
    memory.seek(1 << 40)
    memory.write(b"end")
    assert memory.pieces == [(1 << 40, b"end")]
    memory.seek(1 << 39)
    buffer = np.ones(4, np.uint8)
    assert memory.readinto(buffer.data) == 4
    assert not buffer.any()
