"""CSV for people who open it in a spreadsheet program: a text in it is never taken for a formula."""

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pandas as pd

Cell = TypeVar("Cell")

_BEGIN_FORMULAS = frozenset("=+-@\t\n＝＋－＠")
"""What a cell begins with that such programs compute, or cut off before they look."""


def plain(cell: Cell) -> Cell | str:
    """A cell as it is, but with an apostrophe before a text that would be a formula; numbers stay numbers.

    A lone carriage return, which ends a line for some programs and not for others, is a line end.
    """
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r\n", "\n").replace("\r", "\n") if "\r" in cell else cell
    return f"'{text}" if text[:1] in _BEGIN_FORMULAS and not _is_number(text) else text


def csv_text(table: "pd.DataFrame", float_format: str = "%.6g") -> str:
    """The table as CSV, the same on every system, every cell and heading `plain`."""
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
