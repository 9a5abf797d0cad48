"""Boards and robustness tables as text for the screen."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from fercache.records import ADJUSTED, WITHOUT_DUPLICATES
from fercache.reporting.boards import Board, MethodTable, boards
from fercache.reporting.robustness_tables import CLEAN, DROP, MEAN, Robustness, robustness, spans
from fercache.reporting.table_rows import BY_ENCODER, BY_HEAD, COMMON, MISSING, SELECTIONS, UNSEEN

if TYPE_CHECKING:
    import pandas as pd


def screen_table(frame: "pd.DataFrame") -> str:
    """Compact text tables: two lines per method, accuracy above mean class recall, a block per selection policy."""
    blocks = [_screen_board(board) for board in boards(frame)]
    blocks += [_screen_robustness(table) for table in robustness(frame)]
    return "\n\n".join("\n".join(lines) for lines in blocks)


def _screen_board(board: Board) -> Iterable[str]:
    yield f"Trained on {board.trained_on}, encoder {board.encoder}. Percent, mean ± deviation over seeds."
    yield from _common(board)
    yield from _screen_rows(board, {column: _heading(column, board) for column in board.shown})
    yield "acc: accuracy. mcr: mean class recall." + (" adj: adjusted accuracy." if ADJUSTED in board.metrics else "")
    if board.seen_by_encoder:
        yield f"{BY_ENCODER}: the encoder was trained on this dataset, so it is not {UNSEEN}."
    if board.seen_by_head:
        yield f"{BY_HEAD}: the head was trained on images of this dataset, so it is not {UNSEEN}."
    yield from board.seen_notes
    if board.mean_note:
        yield f"mean: {board.mean_note}."
    if board.incomplete:
        yield f"{MISSING}: not scored for every seed under this policy (`fercache evaluate` scores what is missing)."
    yield from (f"not compared: {described}." for described in board.scored_on_fewer)


def _common(table: MethodTable) -> Iterable[str]:
    if table.common_text:
        yield f"{COMMON}: {table.common_text}."


def _screen_robustness(table: Robustness) -> Iterable[str]:
    headings = {CLEAN: (CLEAN, ""), MEAN: (MEAN, ""), DROP: (DROP, "%")}
    headings |= {kind: (kind, spans(severities)) for kind, severities in table.severities.items()}
    yield (
        f"Robustness on {table.target}{table.mark}, trained on {table.trained_on}, encoder {table.encoder}. "
        "Percent, mean ± deviation over seeds."
    )
    yield from _common(table)
    yield from _screen_rows(table, {column: headings[column] for column in table.columns})
    yield "Below each corruption: the severities that its cell averages. drop: loss from clean to mean, in % of clean."
    yield "acc: accuracy. mcr: mean class recall."
    if table.seen_by_encoder:
        yield f"{BY_ENCODER}: the encoder was trained on this dataset."
    if table.seen_by_head:
        yield f"{BY_HEAD}: the head was trained on images of this dataset."
    if table.incomplete:
        yield f"{MISSING}: not scored for every seed and severity (`fercache evaluate` scores what is missing)."


def _heading(column: str, board: Board) -> tuple[str, str]:
    """Two lines: the family above the domain."""
    if column == UNSEEN:
        return "mean", UNSEEN
    target = column.removesuffix(WITHOUT_DUPLICATES)
    if target != column:
        return target, "no duplicates" + board.mark(column)
    family, _, domain = column.rpartition(":")
    return "source" if column in board.own else family, domain + board.mark(column)


def _screen_rows(table: MethodTable, headings: Mapping[str, tuple[str, str]]) -> Iterable[str]:
    """Two lines of headings, and for every selection policy its name and the methods."""
    top, below = zip(*headings.values(), strict=True)
    blocks = {selection: list(_block(table, selection, list(headings))) for selection in table.selections}
    lines = [["", "", *top], ["", "", *below], *(line for block in blocks.values() for line in block)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]

    def aligned(line: Sequence[str]) -> str:
        left = [text.ljust(width) for text, width in zip(line[:2], widths[:2], strict=True)]
        return "  ".join(left + [text.rjust(width) for text, width in zip(line[2:], widths[2:], strict=True)]).rstrip()

    yield from (aligned(line) for line in lines[:2])
    for selection, block in blocks.items():
        yield f"--- {selection}: {SELECTIONS[selection]}"
        yield from (aligned(line) for line in block)
        if same := table.unmoved(selection):
            yield f"as under {table.policy}: {', '.join(str(row.method) for row in same)}"


def _block(table: MethodTable, selection: str, columns: Sequence[str]) -> Iterable[list[str]]:
    same = table.unmoved(selection)
    for row in (row for row in table.rows if row.selection == selection and row not in same):
        lines = (
            ("accuracy", "acc", row.method.head),
            ("mean_class_recall", "mcr", f"  {row.method.details}"),
            (ADJUSTED, "adj", ""),
        )
        for metric, short, label in (line for line in lines if line[0] in table.metrics):
            yield [label.rstrip(), short, *(str(row.scores(column)[metric]) for column in columns)]
