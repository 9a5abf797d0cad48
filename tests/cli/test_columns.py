"""Tables on the screen fit it, and keep what identifies a row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercache.cli.columns import Column, aligned, size
from fercache.reporting.columns import fitted

COLUMNS = [Column("run"), Column("differs in", least=6), Column("why", least=4), Column("size", right=True)]
TEXT = st.text("abc-=", max_size=60)


@given(st.lists(st.tuples(st.text("xyz", min_size=1, max_size=20), TEXT, TEXT, st.text("123", max_size=6)), min_size=1))
def test_lines_fit_and_names_are_whole(rows: list[tuple[str, str, str, str]]) -> None:
    lines = list(aligned(COLUMNS, rows, width=60))
    assert max(map(len, lines)) <= 60
    assert all(line.startswith(row[0]) for row, line in zip(rows, lines[1:], strict=True))
    assert len({len(line) for line in lines if line.endswith(" ")}) == 0


def test_empty_columns_are_left_out() -> None:
    lines = list(aligned(COLUMNS, [("a", "", "", "1 MB"), ("b", "", "", "12 MB")]))
    assert lines == ["run   size", "a     1 MB", "b    12 MB"]


def test_long_texts_keep_both_ends() -> None:
    assert fitted("synthetic:studio+shift:4@validation", 20) == "synthetic…validation"
    assert len(fitted("synthetic:studio+shift:4@validation", 20)) == 20


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (806_000_000, "806 MB"),
        (6_010_000_000, "6.0 GB"),
    ],
)
def test_sizes_have_three_digits(number: int, text: str) -> None:
    assert size(number) == text
