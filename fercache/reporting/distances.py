"""How far a board's targets are from its source, beside what the leading method makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from fercache.records import Record
from fercache.reporting.boards import Board, is_without_duplicates
from fercache.reporting.rows import Cell
from fercache.scoring.drift import Drift


@dataclass(frozen=True)
class Distance:
    """One target's; `accuracy` is the board's leading method's."""

    label: str
    drift: Drift
    accuracy: Cell


def distances(board: Board, records: Sequence[Record]) -> list[Distance]:
    """Of every target whose records say it, in the order of the board's columns; none without a method."""
    leading = board.leading(board.headline)
    methods = {row.method.key for row in board.rows}
    found = {r.target_label: r.drift for r in records if r.method_key in methods and r.drift}
    labels = [label for label in board.columns if label in found and not is_without_duplicates(label)]
    return [Distance(label, found[label], leading.cells[label]["accuracy"]) for label in labels] if leading else []
