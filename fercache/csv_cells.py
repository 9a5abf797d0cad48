"""CSV for spreadsheet programs, which never treat its texts as formulas."""

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pandas as pd

Cell = TypeVar("Cell")

_BEGIN_FORMULAS = frozenset("=+-@\t\n＝＋－＠")
"""Beginnings of cells that such programs compute, or remove first."""


def plain(cell: Cell) -> Cell | str:
    """The cell, with an apostrophe before a text that would be a formula; numbers stay numbers.

    A lone carriage return, which only some programs treat as a line end, becomes one.
    """
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r\n", "\n").replace("\r", "\n") if "\r" in cell else cell
    return f"'{text}" if text[:1] in _BEGIN_FORMULAS and not _is_number(text) else text


def csv_text(table: "pd.DataFrame", float_format: str = "%.6g") -> str:
    """The table as CSV, identical on every system, with `plain` cells and headings."""
    safe = table.rename(columns=plain)
    for name in safe.select_dtypes(exclude=["number", "bool"]):
        safe[name] = safe[name].map(plain)
    return str(safe.to_csv(index=False, float_format=float_format, lineterminator="\n"))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isprintable()
