"""Boards as text: results.csv, summary.csv, and the table on the screen."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fercache.records import METRICS
from fercache.reporting.boards import METRIC_NAMES, MISSING, SELECTIONS, UNSEEN, Board, Cell, Row, boards

if TYPE_CHECKING:
    import pandas as pd


def results(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Every row of the frame, sorted; scores are fractions."""
    order = ["encoder", "source", "head", "trunk", "readout", "method_key", "seed", "target_label", "selection"]
    return frame.sort_values(order, ignore_index=True).drop(columns="target_label")


def summary(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Methods x targets in percent: mean and deviation over seeds of both metrics, `source` apart, X where missing.

    The cell of a target that is the row's own source is empty: that score stands under `source`. `unseen` is the mean
    over the targets that neither the head nor the encoder was trained on.
    """
    import pandas as pd

    labels = sorted(set(frame["target_label"]))
    rows = [_summary_row(board, row, labels) for board in boards(frame) for row in board.rows]
    table = pd.DataFrame(rows, dtype=object)
    scores: Sequence[str] = list(table.columns)[len(rows[0]) - 4 * (len(labels) + 2) :] if rows else []
    return table.drop(columns=[column for column in scores if (table[column] == "").all()])


def _summary_row(board: Board, row: Row, labels: Sequence[str]) -> dict[str, object]:
    entry: dict[str, object] = {
        "encoder": board.encoder,
        "source": board.source,
        "head": row.method.head,
        "trunk": row.method.trunk,
        "readout": row.method.readout,
        "changed_settings": ", ".join(f"{name}={value}" for name, value in row.method.changed),
        "selection": row.selection,
        "seeds": len(row.seeds),
        "seen_by_encoder": ", ".join(sorted(board.seen_by_encoder)),
    }
    own = board.own[:1]
    columns = [("source", row.cells[own[0]] if own else None)]
    columns += [(label, None if label in own else row.cells[label]) for label in labels]
    columns += [(UNSEEN, row.unseen_mean if board.unseen else None)]
    for name, cells in columns:
        for metric in METRICS:
            mean, deviation = ("", "") if cells is None else _numbers(cells[metric])
            entry |= {f"{name} {METRIC_NAMES[metric]}": mean, f"{name} {METRIC_NAMES[metric]} deviation": deviation}
    return entry


def _numbers(cell: Cell) -> tuple[str, str]:
    if cell.mean is None:
        return MISSING, MISSING
    return f"{cell.mean:.2f}", "" if cell.deviation is None else f"{cell.deviation:.2f}"


def csv_text(table: "pd.DataFrame") -> str:
    """The table as CSV, the same on every system."""
    return str(table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def screen_table(frame: "pd.DataFrame") -> str:
    """A compact text table: two lines per method, accuracy above mean class recall, a block per selection policy."""
    return "\n\n".join("\n".join(_screen_board(board)) for board in boards(frame))


def _screen_board(board: Board) -> Iterable[str]:
    headings = [_heading(column, board) for column in board.columns] + ([("mean", UNSEEN)] if board.unseen else [])
    top, below = zip(*headings, strict=True)
    blocks = {selection: list(_screen_rows(board, selection)) for selection in board.selections}
    lines = [["", "", *top], ["", "", *below], *(line for block in blocks.values() for line in block)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]

    def aligned(line: Sequence[str]) -> str:
        left = [text.ljust(width) for text, width in zip(line[:2], widths[:2], strict=True)]
        return "  ".join(left + [text.rjust(width) for text, width in zip(line[2:], widths[2:], strict=True)]).rstrip()

    yield f"Trained on {board.source}, encoder {board.encoder}. Percent, mean ± deviation over seeds."
    yield from (aligned(line) for line in lines[:2])
    for selection, block in blocks.items():
        yield f"--- {selection}: {SELECTIONS[selection]}"
        yield from (aligned(line) for line in block)
        if same := board.unmoved(selection):
            yield f"as under {board.selections[0]}: {', '.join(str(row.method) for row in same)}"
    yield "acc: accuracy. mcr: mean class recall."
    if board.seen_by_encoder:
        yield f"†: the encoder itself was trained on this data set, so it is not {UNSEEN}."
    if board.incomplete:
        yield f"{MISSING}: not scored for every seed (`fercache evaluate` scores what is missing)."


def _heading(column: str, board: Board) -> tuple[str, str]:
    """Two lines: the family above the domain."""
    family, _, domain = column.rpartition(":")
    return "source" if column in board.own else family, domain + ("†" if column in board.seen_by_encoder else "")


def _screen_rows(board: Board, selection: str) -> Iterable[list[str]]:
    same = board.unmoved(selection)
    for row in (row for row in board.rows if row.selection == selection and row not in same):
        for metric, short, label in (("accuracy", "acc", row.method.head), ("uar", "mcr", f"  {row.method.details}")):
            mean = [str(row.unseen_mean[metric])] if board.unseen else []
            yield [label.rstrip(), short, *(str(row.cells[column][metric]) for column in board.columns), *mean]
