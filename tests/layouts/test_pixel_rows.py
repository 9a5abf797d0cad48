from pathlib import Path

import numpy as np
import pytest

from fercache.errors import UsageError
from fercache.layouts.pixel_rows import find_rows, read_row
from tests.datasets.miniatures.fer2013 import numbers
from tests.datasets.miniatures.images import pixels, write

SPELLINGS = {
    "plain": "a,pixels,b\n1,{0},x\n2,{1},y\n",
    "quoted": '"a","pixels","b"\n"1","{0}","x"\n"2","{1}","y"\n',
    "spaced, other order": "b, a, pixels\nx, 1, {0}\ny, 2, {1}\n",
    "other line ends, empty lines, a mark at the start": "\ufeffa,pixels,b\r\n1,{0},x\r\n\r\n2,{1},y",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_cells_come_as_asked_and_images_from_where_they_begin(tmp_path: Path, spelling: str) -> None:
    path = write(tmp_path / "rows.csv", SPELLINGS[spelling].format(numbers(0), numbers(1)).encode())
    rows = list(find_rows(path, ("b", "a")))
    assert [row.cells for row in rows] == [("x", "1"), ("y", "2")]
    assert len({row.fingerprint for row in rows}) == 2
    for seed, row in enumerate(rows):
        assert np.array_equal(read_row(path, row.offset), np.repeat(pixels(seed, 48, 48)[:, :, :1], 3, axis=2))


def test_rows_are_found_one_at_a_time(tmp_path: Path) -> None:
    rows = find_rows(write(tmp_path / "rows.csv", b"pixels,a\n1 2,x\n3 4\n"), ("a",))
    assert next(rows).cells == ("x",)
    with pytest.raises(UsageError, match=r"rows.csv, line 3: 1 cells"):
        next(rows)


@pytest.mark.parametrize("header", [b"", b"a,Pixels\n", b"\xff\xfe\n", b"pixels\n"])
def test_a_file_without_the_columns_is_refused(tmp_path: Path, header: bytes) -> None:
    path = write(tmp_path / "rows.csv", header)
    with pytest.raises(UsageError, match=r"no column .*; expected a, pixels, found"):
        list(find_rows(path, ("a",)))


@pytest.mark.parametrize(
    "cell", [b"", b"1 2 3", b"256 " * 2304, b"-1 " * 2304, b"1.5 " * 2304, b"\xff" * 9, b"1 " * 99_999]
)
def test_what_is_no_image_cannot_be_read(tmp_path: Path, cell: bytes) -> None:
    path = write(tmp_path / "rows.csv", b"pixels\n" + cell + b",\n")
    with pytest.raises(OSError, match="not 48 x 48 numbers from 0 to 255"):
        read_row(path, len(b"pixels\n"))
