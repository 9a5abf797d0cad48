"""Tables on the screen: columns that fit the width of the terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fercache.cli.options import terminal_width
from fercache.reporting.columns import GAP, fitted


@dataclass(frozen=True)
class Column:
    """A heading; numbers are `right`, and a column that may be shortened has at `least` so many characters left."""

    heading: str
    right: bool = False
    least: int | None = None


def aligned(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None = None) -> Iterator[str]:
    """Lines of a table: its headings and rows, at most `width` characters wide (default: the terminal, else 80).

    Long texts lose their middle, because names differ at both ends. Columns that are empty are left out.
    """
    used = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    shown = [columns[place] for place in used]
    lines = [[column.heading for column in shown], *([row[place] for place in used] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(shown))]
    most = (width or terminal_width()) - len(GAP) * (len(shown) - 1)
    while sum(widths) > most:
        spare = [widths[i] - (shown[i].least or widths[i]) for i in range(len(shown))]
        widest = max(range(len(shown)), key=lambda i: (spare[i] > 0, widths[i]))
        if spare[widest] <= 0:
            break
        widths[widest] -= 1
    for line in lines:
        cells = [fitted(text, size) for text, size in zip(line, widths, strict=True)]
        parts = [
            cell.rjust(size) if column.right else cell.ljust(size)
            for cell, size, column in zip(cells, widths, shown, strict=True)
        ]
        yield GAP.join(parts).rstrip()


def size(number: int) -> str:
    """Bytes as a person reads them: `806 MB`."""
    value, unit = float(number), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
