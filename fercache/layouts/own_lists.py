"""Lists that people make: CSV as spreadsheet programs and pandas save it, Parquet, JSON lines."""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from fercache.errors import UsageError
from fercache.layouts.lists import refuse_repeated
from fercache.layouts.remote import opened, shown

SUFFIXES = (".csv", ".parquet", ".jsonl")
SEPARATORS = ",;\t|"
LONGEST_LINE = 2**20
"""Characters."""
ROWS = 1_024
"""Rows of a Parquet file held in memory."""
NOT_GIVEN = ("", "nan", "na", "n/a", "<na>", "null")
"""Contents of an empty cell, in lower case."""

_UNNAMED = re.compile(r"(unnamed: \d+)?")
"""How pandas and spreadsheets write a column without a name."""

Row = tuple[int, dict[str, str]]
"""Number of the line and its cells by column, in lower case."""


def is_list(name: str) -> bool:
    """Whether a file of this name is a list."""
    return Path(name).suffix.lower() in SUFFIXES


def named_rows(
    path: Path, needed: Sequence[str], other_names: Mapping[str, Sequence[str]] | None = None
) -> Iterator[Row]:
    """The rows of a local or remote list, one at a time; columns may have `other_names` instead of their own.

    Columns without a name are ignored if they are empty or an index. Raises UsageError with the line for any other
    file, for a missing `needed` column, and for cells that belong to no column.
    """
    read = {".parquet": _parquet_rows, ".jsonl": _json_rows}.get(path.suffix.lower(), _csv_rows)
    yield from read(path, _Columns(path, needed, other_names or {}))


class NoColumnError(UsageError):
    """A list lacks columns, which `missing` names."""

    def __init__(self, message: str, missing: Sequence[str]) -> None:
        super().__init__(message)
        self.missing = tuple(missing)


class _Columns:
    """The column names of a list."""

    def __init__(self, path: Path, needed: Sequence[str], other_names: Mapping[str, Sequence[str]]) -> None:
        self.path, self.needed, self.other_names = path, needed, other_names

    def named(self, header: Sequence[object]) -> list[str]:
        """The names in a header, in lower case. Raises NoColumnError, and UsageError for repeated columns."""
        names = [str(cell).strip().lower() for cell in header]
        for name, others in self.other_names.items():
            there = [other for other in others if other in names]
            if name not in names and len(there) == 1:
                names[names.index(there[0])] = name
        missing = [name for name in self.needed if name not in names]
        if missing:
            also = {name: f" (or {', '.join(self.other_names[name])})" for name in self.other_names}
            raise NoColumnError(
                f"{shown(self.path)}: no column {' and no column '.join(missing)}. Needed: "
                f"{', '.join(name + also.get(name, '') for name in self.needed)}; the first line has "
                f"{', '.join(names) or 'nothing'}.",
                missing,
            )
        refuse_repeated([name for name in names if not _UNNAMED.fullmatch(name)], shown(self.path))
        return names

    def cells(self, line: int, names: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
        """Cells by column name. Raises UsageError for too few cells, and for contents in a column without a name."""
        if len(cells) < len(names):
            raise UsageError(f"{shown(self.path)}, line {line}: {len(cells)} cells, but the header has {len(names)}.")
        row: dict[str, str] = {}
        for place, cell in enumerate(cells):
            name = names[place] if place < len(names) else ""
            if not _UNNAMED.fullmatch(name):
                row[name] = cell.strip()
            elif cell.strip().lower() not in NOT_GIVEN and not (place == 0 and cell.strip().isdecimal()):
                raise UsageError(
                    f"{shown(self.path)}, line {line}: cell {place + 1} is {cell[:40]!r}, but its column has no name. "
                    "Give it one, or remove it."
                )
        return row

    def separator(self, header: str) -> str:
        """The separator of a header's columns. Raises UsageError if each line is one quoted cell."""
        separator = max(SEPARATORS, key=header.count)
        (whole, *more) = next(csv.reader([header], delimiter=separator), None) or [""]
        if not more and separator in whole:
            raise UsageError(
                f"{shown(self.path)}: each line is one quoted cell, {header.strip()[:60]}. Save it as CSV again, with "
                "the columns apart."
            )
        return separator


def _csv_rows(path: Path, columns: _Columns) -> Iterator[Row]:
    try:
        with opened(path) as binary, TextIOWrapper(binary, "utf-8-sig", newline="") as stream:
            lines = _lines(path, stream)
            number, header = next(((n, line) for n, line in lines if line.strip(" \r\n,;\t|")), (0, ""))
            separator = ""
            if header.lower().startswith("sep="):  # written by spreadsheet programs
                separator = header[4:5]
                number, header = next(lines, (number, ""))
            separator = separator or columns.separator(header)
            rows = csv.reader([header], delimiter=separator)
            names = columns.named(next(rows, []))
            rows = csv.reader((line for _, line in lines), delimiter=separator)
            end = number
            for cells in rows:
                begin, end = end + 1, number + rows.line_num  # a cell may have several lines
                if any(cell.strip() for cell in cells):
                    yield begin, columns.cells(begin, names, cells)
    except UnicodeDecodeError:
        raise UsageError(f"{shown(path)} is not UTF-8 text. Save it as CSV in UTF-8.") from None
    except csv.Error as error:
        line = number + rows.line_num
        raise UsageError(f"{shown(path)}, line {line}: {error}. Save it as plain CSV in UTF-8.") from None


def _lines(path: Path, stream: TextIO) -> Iterator[tuple[int, str]]:
    """The lines by number. Raises UsageError for a line that is too long."""
    number = 0
    while line := stream.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise UsageError(f"{shown(path)}, line {number} is longer than {LONGEST_LINE:,} characters. Is it a list?")
        yield number, line


def _json_rows(path: Path, columns: _Columns) -> Iterator[Row]:
    try:
        with opened(path) as binary, TextIOWrapper(binary, "utf-8-sig") as stream:
            for number, line in _lines(path, stream):
                if line.strip():
                    yield number, _json_row(number, line, columns)
    except UnicodeDecodeError:
        raise UsageError(f"{shown(path)} is not UTF-8 text. Save it as JSON lines in UTF-8.") from None


def _json_row(number: int, line: str, columns: _Columns) -> dict[str, str]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{shown(columns.path)}, line {number} is not JSON: {str(error)[:100]}.") from None
    if not isinstance(found, dict):
        raise UsageError(f'{shown(columns.path)}, line {number}: expected an object such as {{"path": "a.png", ...}}.')
    names = columns.named(list(found))
    return columns.cells(number, names, [_text(value) for value in found.values()])


def _text(value: Any) -> str:
    """A JSON value as the text of a cell: empty for null, list items separated by spaces."""
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return "" if value is None else str(value)


def _parquet_rows(path: Path, columns: _Columns) -> Iterator[Row]:
    """Rows are numbered from 1; ROWS of them are in memory."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UsageError(f"{shown(path)}: reading Parquet needs pyarrow: pip install 'fercache[parquet]'") from None
    number = 0
    try:
        with opened(path) as stream, ParquetFile(stream) as file:
            names = columns.named(file.schema_arrow.names)
            for batch in file.iter_batches(batch_size=ROWS):
                for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    binary = [name for name, cell in zip(names, cells, strict=True) if isinstance(cell, bytes)]
                    if binary:
                        raise UsageError(
                            f"{shown(path)}, row {number}: the column {binary[0]} is binary. Expected text: write it "
                            "as a string, or leave the column out."
                        )
                    yield number, columns.cells(number, names, [_text(cell) for cell in cells])
    except (ArrowException, OSError, ValueError, OverflowError) as error:  # the last two: single cells
        raise UsageError(f"{shown(path)} cannot be read as Parquet after {number} rows: {error}") from None
