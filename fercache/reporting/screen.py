"""Boards and robustness tables as text for the screen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from textwrap import wrap
from typing import TYPE_CHECKING

from fercache.records import WITHOUT_DUPLICATES
from fercache.reporting.boards import Board, MethodTable, boards
from fercache.reporting.columns import GAP, WIDTH, Column, folded, in_blocks
from fercache.reporting.robustness_tables import CLEAN, DROP, MEAN, Robustness, robustness, spans
from fercache.reporting.table_rows import (
    BY_ENCODER,
    BY_HEAD,
    COMMON,
    METRIC_NAMES,
    MISSING,
    SELECTIONS,
    UNSEEN,
    Method,
    Row,
)

if TYPE_CHECKING:
    import pandas as pd

BEST = "*"
"""Marks the best of a column."""
LABEL, HEADING = 22, 12
"""Most characters of a line of a method's name, and of a column's heading; longer ones go on below."""
_LEGEND = f"±: standard deviation over seeds. {BEST}: best of its column."


def screen_table(frame: "pd.DataFrame", width: int = WIDTH) -> str:
    """Text tables in lines of at most `width`: for every selection policy and metric, a line per method.

    Columns that do not fit go on below. BEST marks the highest mean of a column, by the rule of the page.
    """
    blocks = [_screen_board(board, width) for board in boards(frame)]
    blocks += [_screen_robustness(table, width) for table in robustness(frame)]
    return "\n\n".join("\n".join(line for text in texts for line in folded(text, width)) for texts in blocks)


def _screen_board(board: Board, width: int) -> Iterable[str]:
    yield f"Trained on {board.trained_on}, encoder {board.encoder}."
    yield from _common(board)
    yield from _screen_rows(board, {column: _heading(column, board) for column in board.shown}, width)
    yield _LEGEND
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
    if trunk := _common_trunk(table):
        yield f"Trunk of all methods that have one: {trunk}."


def _common_trunk(table: MethodTable) -> str:
    """The trunk of all methods that have one; "" if there are several, or none."""
    trunks = {row.method.trunk for row in table.rows} - {"", "none"}
    return trunks.pop() if len(trunks) == 1 else ""


def _screen_robustness(table: Robustness, width: int) -> Iterable[str]:
    headings = {CLEAN: (CLEAN, ""), MEAN: (MEAN, ""), DROP: (DROP, "%")}
    headings |= {kind: (kind, spans(severities)) for kind, severities in table.severities.items()}
    yield f"Robustness on {table.target}{table.mark}, trained on {table.trained_on}, encoder {table.encoder}."
    yield from _common(table)
    yield from _screen_rows(table, {column: headings[column] for column in table.columns}, width)
    yield _LEGEND
    yield "Below each corruption: the severities that its cell averages. drop: loss from clean to mean, in % of clean."
    if table.seen_by_encoder:
        yield f"{BY_ENCODER}: the encoder was trained on this dataset."
    if table.seen_by_head:
        yield f"{BY_HEAD}: the head was trained on images of this dataset."
    if table.incomplete:
        yield f"{MISSING}: not scored for every seed and severity (`fercache evaluate` scores what is missing)."


def _heading(column: str, board: Board) -> tuple[str, ...]:
    """The family above the domain, in lines of at most HEADING."""
    if column == UNSEEN:
        return "mean", UNSEEN
    target = column.removesuffix(WITHOUT_DUPLICATES)
    if target != column:
        parts = [target, "no duplicates" + board.mark(column)]
    else:
        family, _, domain = column.rpartition(":")
        parts = ["source" if column in board.own else family, domain + board.mark(column)]
    return tuple(line for part in parts for line in wrap(part, HEADING) or [""])


def _screen_rows(table: MethodTable, headings: Mapping[str, tuple[str, ...]], width: int) -> Iterable[str]:
    """For every selection policy its name, and for each metric the methods, in blocks of columns."""
    wide = max(len(METRIC_NAMES[metric]) for metric in table.metrics)
    labels, notes = _labels(table)
    for selection in table.selections:
        every = [row for row in table.rows if row.selection == selection]
        same = table.unmoved(selection)
        rows = [row for row in every if row not in same]
        yield f"--- {selection}: {SELECTIONS[selection]}"
        for metric in table.metrics if rows else ():
            columns = []
            for name, heading in headings.items():
                best = None if name == DROP else _best(table, every, name, metric=metric)
                columns.append(Column(heading, _cells(table, rows, name, metric=metric, best=best)))
            title, of_rows = f"{METRIC_NAMES[metric]}, %".ljust(wide + 3), [labels[row.method] for row in rows]
            for block in in_blocks(title, of_rows, columns, width=width):
                yield from (*block, "")
        if same:
            yield f"as under {table.policy}: {', '.join(' '.join(labels[row.method]) for row in same)}"
            yield from [""] if rows else []
    yield from notes


def _best(table: MethodTable, rows: Sequence[Row], column: str, *, metric: str) -> float | None:
    """As in bold on the page; None under the oracle, and where there is nothing to compare."""
    compared = [row for row in rows if row.scores(column)[metric].mean is not None]
    return table.best(rows, column, metric) if len(compared) > 1 and rows[0].selection != "oracle" else None


def _cells(table: MethodTable, rows: Sequence[Row], column: str, *, metric: str, best: float | None) -> tuple[str, ...]:
    """Means and deviations, each in line, with BEST before the best."""
    means, deviations = [], []
    for row in rows:
        cell = row.scores(column)[metric]
        mean, _, deviation = str(cell).partition(" ")
        is_best = cell.mean is not None and round(cell.mean, 1) == best and not table.fewer(row, column)
        means.append(BEST * is_best + mean)
        deviations.append(f" {deviation}" if deviation else "")
    first, second = (max(map(len, texts)) for texts in (means, deviations))
    return tuple(f"{mean:>{first}}{deviation:{second}}" for mean, deviation in zip(means, deviations, strict=True))


def _labels(table: MethodTable) -> tuple[dict[Method, list[str]], list[str]]:
    """The lines of each method's name: its head, and what else is known of it, if that is short; else its number.

    Returns what the numbers stand for as well.
    """
    trunk = _common_trunk(table)
    methods = dict.fromkeys(row.method for row in table.rows)
    details = {m: (replace(m, trunk="") if m.trunk == trunk else m).details for m in methods}
    if max(map(len, details.values())) <= LABEL - len(GAP):
        return {m: [*wrap(m.head, LABEL), *([GAP + text] if text else [])] for m, text in details.items()}, []
    numbers = {m: f"[{n}]" for n, m in enumerate((m for m, text in details.items() if text), 1)}
    labels = {m: wrap(f"{m.head} {numbers.get(m, '')}", LABEL, break_on_hyphens=False) for m in methods}
    return labels, [f"{number} {details[m]}" for m, number in numbers.items()]
