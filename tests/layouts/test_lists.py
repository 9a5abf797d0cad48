from pathlib import Path

import pytest

from fercache.errors import UsageError
from fercache.layouts.lists import csv_lines
from tests.datasets.miniatures.images import write


def test_lines_have_the_numbers_that_an_editor_shows(tmp_path: Path) -> None:
    path = write(tmp_path / "list.csv", '\ufeffa,b\r\n\r\n"x\ny",ü\r\n1,2'.encode())
    assert list(csv_lines(path)) == [(1, ["a", "b"]), (4, ["x\ny", "ü"]), (5, ["1", "2"])]


@pytest.mark.parametrize(
    ("line", "message"), [(b"b\xe4d,1", "is not UTF-8. Take"), (b'"' + b"x" * 200_000, "field larger than field limit")]
)
def test_what_is_no_csv_is_refused_when_it_is_reached(tmp_path: Path, line: bytes, message: str) -> None:
    path = write(tmp_path / "list.csv", b"a,1\n" + line + b"\n")
    lines = csv_lines(path)
    assert next(lines) == (1, ["a", "1"])
    with pytest.raises(UsageError, match=rf"line 2: .*{message}|line 3: {message}") as error:
        next(lines)
    assert str(path) in str(error.value)
