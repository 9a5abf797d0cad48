import csv
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercache.csv_cells import csv_text, plain


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-x", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "--1", "＝1"])
def test_what_would_be_a_formula_has_an_apostrophe_before_it(text: str) -> None:
    assert plain(text) == "'" + text.replace("\r", "\n")


@pytest.mark.parametrize("cell", ["", "a=b", "-1.5", "+2", "-1e-3", -1.5, 0, None, True, "X", "–", "folder:one"])
def test_numbers_and_other_texts_stay(cell: object) -> None:
    assert plain(cell) is cell


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_no_text_of_a_table_begins_a_formula(text: str) -> None:
    written = csv_text(pd.DataFrame({"id": [text, "other"], "score": [-0.25, 1.0]}))
    _, row, _ = csv.reader(io.StringIO(written, newline=""))
    kept = text.replace("\r\n", "\n").replace("\r", "\n")
    assert row[0] in (kept, f"'{kept}") and row[1] == "-0.25"
    assert row[0][:1] not in {"=", "@", "\t", "\r", "\n"}
    if row[0][:1] in {"+", "-"}:
        float(row[0])


def test_headings_are_texts_too() -> None:
    assert csv_text(pd.DataFrame({"=1": [1], "b": ["c"]})) == "'=1,b\n1,c\n"
