"""Lists as spreadsheet programs and pandas write them: read, or refused with the cell."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fercache.errors import UsageError
from fercache.layouts.own_lists import LONGEST_LINE, named_rows

QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NEEDED = ("path", "label")


def rows(path: Path, text: str | bytes) -> list[dict[str, str]]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [cells for _, cells in named_rows(path, NEEDED, {"path": ("file_name",), "label": ("emotion",)})]


EXPECTED = [{"path": "a.png", "label": "happy", "age": "3"}, {"path": "b.png", "label": "", "age": "4"}]


@QUIET
@given(
    separator=st.sampled_from(",;\t|"),
    index=st.sampled_from([None, "", "Unnamed: 0"]),
    empty=st.integers(0, 3),
    encoding=st.sampled_from(["utf-8", "utf-8-sig"]),
    said=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([0, 1]),
    blank=st.booleans(),
)
def test_what_programs_write_around_the_cells_does_not_count(
    tmp_path: Path, separator: str, index: str | None, empty: int, encoding: str, said: bool, end: str, quoting: int,
    blank: bool,
) -> None:  # fmt: skip
    frame = pd.DataFrame(EXPECTED)
    stream = io.StringIO()
    frame.to_csv(
        stream, sep=separator, index=index is not None, index_label=index or None, lineterminator="\n", quoting=quoting
    )
    lines = [line + separator * empty for line in stream.getvalue().splitlines()]
    lines = ["sep=" + separator] * said + lines + [separator * (len(EXPECTED[0]) + empty)] * blank
    assert rows(tmp_path / "list.csv", end.join(lines).encode(encoding)) == EXPECTED


@QUIET
@given(extra=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5), after=st.integers(0, 1))
def test_a_cell_beyond_the_header_is_named(tmp_path: Path, extra: str, after: int) -> None:
    line = "a.png,happy," + "," * after + extra
    if extra.lower() in ("nan", "na", "null"):
        return
    with pytest.raises(UsageError, match=rf"line 2: cell {3 + after} is '{extra}', but its column has no name"):
        rows(tmp_path / "list.csv", f"path,label\n{line}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.png\n", "line 2: 1 cells, but the header has 2"),
        ('"path,label"\n"a.png,happy"\n', "each line is one quoted cell"),
        (",path,label\nx,a.png,happy\n", "line 2: cell 1 is 'x', but its column has no name"),
        ("path,label,label\n", "more than one column is named label"),
        ("where,what\n", "no column path and no column label"),
        ("path,label\n" + "x" * LONGEST_LINE, "line 2 is longer than"),
        ("x" * LONGEST_LINE, "line 1 is longer than"),
        ("path,label\n" + "x" * 200_000 + ",y\n", "line 2: field larger than"),
        ("path,label\n\xff".encode("latin-1"), "is not UTF-8"),
        ("\ufeffpath,label\n".encode("utf-16"), "is not UTF-8"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rows(tmp_path / "list.csv", text)


def test_columns_of_other_names(tmp_path: Path) -> None:
    assert rows(tmp_path / "list.csv", "file_name,Emotion\na,b\n") == [{"path": "a", "label": "b"}]
    assert rows(tmp_path / "list.csv", "file_name,path,label\nx,a,b\n") == [
        {"file_name": "x", "path": "a", "label": "b"}
    ]


def test_json_lines(tmp_path: Path) -> None:
    lines = [{"file_name": "a.png", "label": "happy", "box": [1, 2, 3, 4]}, {"file_name": "b.png", "label": None}]
    found = rows(tmp_path / "metadata.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n")
    assert found == [{"path": "a.png", "label": "happy", "box": "1 2 3 4"}, {"path": "b.png", "label": ""}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1 is not JSON"),
        ("[" * 100_000, "line 1 is not JSON"),
        ("3", "line 1: expected an object"),
        ('{"path": "a"}', "no column label"),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_what_is_no_json_lines_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rows(tmp_path / "metadata.jsonl", text)
