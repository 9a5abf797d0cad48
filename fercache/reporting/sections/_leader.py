"""The trained method that leads a board, whose errors and maps are shown, and the methods beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from fercache.records import MAIN, Record
from fercache.reporting.boards import Board
from fercache.reporting.table_rows import BASELINES, Method, Row

UNTRAINED = BASELINES[0]


@dataclass(frozen=True)
class Leader:
    """A board's leading method, and its records by target label, in the order of the board's columns."""

    method: Method
    records: dict[str, list[Record]]


def leader(board: Board, records: Sequence[Record]) -> Leader | None:
    """The trained method that is most accurate on the unseen targets, or else on the source; None without one."""
    here = [record for record in records if _is_of(record, board)]
    trained = {record.method_key for record in here}
    rows = [row for row in board.headline if row.method.readout == MAIN and row.method.key in trained]
    leading = board.leading(rows)
    if leading is None:
        return None
    method = leading.method
    own = [record for record in here if record.method_key == method.key]
    of_label = {label: [record for record in own if record.target_label == label] for label in board.columns}
    return Leader(method, {label: found for label, found in of_label.items() if found})


def shown_rows(board: Board, records: Sequence[Record]) -> list[Row]:
    """The methods in figures, with the leading one first: it may be a variant that is not drawn otherwise."""
    leading = leader(board, records)
    first = [row for row in board.headline if leading and row.method == leading.method]
    return [*first, *(row for row in board.drawn if row not in first)] if first else board.drawn


def _is_of(record: Record, board: Board) -> bool:
    same = (record.encoder_key, record.source) == (board.encoder_key, board.source)
    shown = record.selection == board.policy and not record.without_duplicates
    return same and shown and record.head != UNTRAINED
