"""Tables as plain text of a limited width: cells in line, long texts folded, and columns that continue below."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from textwrap import wrap

WIDTH = 80
"""Characters of a line where no terminal is wider."""
GAP = "  "
"""Between two columns."""


@dataclass(frozen=True)
class Column:
    """A heading of several lines, and a cell for each row; headings stand to the right, cells all have one width."""

    heading: tuple[str, ...]
    cells: tuple[str, ...]

    @property
    def width(self) -> int:
        """Of the widest of its texts."""
        return max(map(len, (*self.heading, *self.cells)), default=0)


def folded(text: str, width: int = WIDTH, indent: str = GAP) -> list[str]:
    """The text in lines of at most `width`, all but the first behind `indent`; words that are longer are cut."""
    if len(text) <= width:
        return [text]
    return wrap(text, width, subsequent_indent=indent, break_on_hyphens=False)


def fitted(text: str, width: int) -> str:
    """The text without its middle where it is longer than `width`: both ends of a name identify it."""
    begin = (width - 1) // 2
    return text if len(text) <= width else f"{text[:begin]}…{text[begin + 1 - width :]}"


def side_by_side(cells: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    """The lines of a row whose cells have several lines each, to the left."""
    for texts in zip_longest(*cells, fillvalue=""):
        yield GAP.join(text.ljust(width) for text, width in zip(texts, widths, strict=True)).rstrip()


def in_blocks(
    title: str, labels: Sequence[Sequence[str]], columns: Sequence[Column], width: int = WIDTH
) -> list[list[str]]:
    """One block of lines after another, each with the `labels` (several lines each) and as many `columns` as fit.

    The `title` stands above the labels.
    """
    first = max(map(len, (title, *(text for label in labels for text in label))))
    blocks: list[list[str]] = []
    while columns:
        fitting, used = 0, first
        while fitting < len(columns) and (not fitting or used + len(GAP) + columns[fitting].width <= width):
            used += len(GAP) + columns[fitting].width
            fitting += 1
        blocks.append(list(_block(title.ljust(first), labels, columns[:fitting])))
        columns = columns[fitting:]
    return blocks


def _block(title: str, labels: Sequence[Sequence[str]], columns: Sequence[Column]) -> Iterator[str]:
    widths = [len(title), *(column.width for column in columns)]
    height = max(len(column.heading) for column in columns)
    headings = [["" for _ in range(height - len(column.heading))] + [*column.heading] for column in columns]
    rows = [
        ([title], headings),
        *((label, [[column.cells[i]] for column in columns]) for i, label in enumerate(labels)),
    ]
    for label, cells in rows:
        right = [[text.rjust(width) for text in cell] for cell, width in zip(cells, widths[1:], strict=True)]
        yield from side_by_side([label, *right], widths)
