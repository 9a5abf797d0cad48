"""Bars: what matters stands first and fits 80 columns."""

import io
import sys

import pytest

from fercache.runtime.progress import WIDEST, progress, shortened


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(monkeypatch: pytest.MonkeyPatch, columns: int, what: str, postfix: str) -> str:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", str(columns))
    with progress(what, 12_345, "face") as bar:
        bar.dynamic_ncols, bar.ncols = None, columns
        bar.set_postfix_str(postfix, refresh=False)
        bar.update(6_000)
        bar.refresh()
        return str(bar)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_bar_fits_its_columns_and_says_first_what_matters(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    line = drawn(monkeypatch, columns, "extract folder:a-very-long-name-of-a-data-set@train", "x" * 200)
    assert len(line) <= columns
    assert line.startswith("extract fold…a-set@train ")
    assert " 49%, " in line and " left |" in line


def test_short_names_stay_and_of_long_ones_both_ends() -> None:
    assert shortened("train") == "train"
    long = shortened("vit-b-32--openai-synthetic-studio-sigmoid-mask-mlp-0-4ad1ec36")
    assert len(long) == WIDEST and long.startswith("vit-b-32--op") and long.endswith("4ad1ec36")


def test_without_a_terminal_there_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress("train", 10, "face") as bar:
        bar.delay = 0
        bar.update(5)
        bar.refresh()
    assert "\r" not in sys.stderr.getvalue() and "train: 5/10 face" in sys.stderr.getvalue()  # type: ignore[attr-defined]
