"""CSV lists that come with a dataset."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from fercache.errors import UsageError


def csv_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line that is not empty, one at a time. Raises UsageError unless it is CSV in UTF-8."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        rows = csv.reader(stream)
        try:
            for cells in rows:
                if any("\ufffd" in cell for cell in cells):  # written by errors="replace"
                    raise UsageError(f"{path}, line {rows.line_num}: {cells} is not UTF-8. Take the original file.")
                if cells:
                    yield rows.line_num, cells
        except csv.Error as error:
            raise UsageError(f"{path}, line {rows.line_num}: {error}. Take the original file.") from None


def refuse_repeated(columns: Sequence[str], path: Path | str) -> None:
    """Raises UsageError if two columns of a header have the same name."""
    repeated = sorted(name for name, times in Counter(columns).items() if times > 1)
    if repeated:
        raise UsageError(f"{path}: more than one column is named {', '.join(repeated)}.")
