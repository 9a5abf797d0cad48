"""What the page shows of a board, and of a robustness table."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fercache.records import MAIN, METRICS, Record
from fercache.reporting import curves, figures
from fercache.reporting.boards import Board
from fercache.reporting.distances import Distance, distances
from fercache.reporting.drawing import Drawing, colours
from fercache.reporting.panels import Panel, drawn_methods, panel, source_accuracy
from fercache.reporting.robustness import CLEAN, DROP, Robustness
from fercache.reporting.rows import Cell, Method, Row
from fercache.reporting.sweeps import Sweep, sweeps

Best = dict[tuple[str, str], float | None]
"""The highest mean by column and metric, as it is printed."""


@dataclass(frozen=True)
class Gain:
    """What choosing the epoch on the target itself would have gained over the headline policy, in points."""

    method: Method
    cells: dict[str, Cell]


@dataclass(frozen=True)
class BoardView:
    """A board with all that the page says of it. `best` is by selection policy; the oracle has none."""

    board: Board
    best: dict[str, Best]
    leader: Row | None
    leader_gap: float | None
    gap: Drawing | None
    policies: list[tuple[Row, str, int]]
    gains: list[Gain]
    sweeps: list[Sweep]
    panels: list[Panel]
    not_compared: list[str]
    """Sets that were trained on, but not searched for images of the targets."""
    distances: list[Distance]


@dataclass(frozen=True)
class RobustnessView:
    """A robustness table with the best cells of its headline and its figure."""

    table: Robustness
    best: Best
    figure: Drawing | None


def board_view(board: Board, records: Sequence[Record], errors: Mapping[str, Sequence[Any]] | None = None) -> BoardView:
    """`errors` are by target label, for the partial that shows them."""
    of_cell: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for record in records:
        of_cell[record.method_key, record.selection, record.target_label].append(record)
    leader = _leader(board)
    panels = (panel(board, label, of_cell, (errors or {}).get(label, ())) for label in board.columns)
    return BoardView(
        board=board,
        best={selection: _best(board, selection) for selection in board.selections},
        leader=leader,
        leader_gap=_leader_gap(board, leader),
        gap=_gap(board),
        policies=_policy_rows(board),
        gains=_gains(board),
        sweeps=sweeps(board),
        panels=[each for each in panels if each],
        not_compared=_not_compared(board, records),
        distances=distances(board, records),
    )


def _not_compared(board: Board, records: Sequence[Record]) -> list[str]:
    methods = {row.method.key for row in board.rows}
    return sorted({name for record in records if record.method_key in methods for name in record.not_compared})


def _best(board: Board, selection: str) -> Best:
    if selection == "oracle":
        return {}
    rows = [row for row in board.rows if row.selection == selection]
    return {(column, metric): board.best(rows, column, metric) for column in board.shown for metric in board.metrics}


def _leader(board: Board) -> Row | None:
    """The headline row with the best mean accuracy over the unseen targets; None where no row has such a mean."""
    leader = board.leading(board.headline)
    return leader if leader and board.comparable_mean(leader) is not None else None


def _leader_gap(board: Board, leader: Row | None) -> float | None:
    """Points between the leader's mean over unseen targets and its own source."""
    source = source_accuracy(board, leader) if leader else None
    unseen = leader.unseen_mean["accuracy"].mean if leader else None
    return None if source is None or unseen is None else unseen - source


def _gap(board: Board) -> Drawing | None:
    drawn = drawn_methods(board)
    pairs = {str(row.method): (board.source_scores(row), row.unseen_mean) for row in drawn}
    scores = {name: (own["accuracy"], unseen["accuracy"]) for name, (own, unseen) in pairs.items() if own}
    if not (board.unseen and scores):
        return None
    described = "; ".join(
        f"{name}: {source} on the source, {unseen} unseen" for name, (source, unseen) in scores.items()
    )
    return figures.generalisation_gap(scores, f"Accuracy in percent. {described}.")


def _policy_rows(board: Board) -> list[tuple[Row, str, int]]:
    """All rows, method by method, with the policy to print and the rows that the method's heading spans (0: none)."""
    unmoved = [row for selection in board.selections for row in board.unmoved(selection)]
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in board.rows:
        groups[row.method.key, row.method.readout].append(row)
    printed = []
    for rows in groups.values():
        if len(rows) > 1 and all(row in unmoved for row in rows[1:]):
            printed.append((rows[0], "all alike", 1))
        else:
            printed += [(row, row.selection, 0 if i else len(rows)) for i, row in enumerate(rows)]
    return printed


def _gains(board: Board) -> list[Gain]:
    """Of every method that has something to choose; none where the oracle or another policy is missing.

    In the main readout alone, since that is what the oracle chooses by.
    """
    if "oracle" not in board.selections[1:]:
        return []
    first = {(row.method.key, row.method.readout): row for row in board.headline}
    unmoved = board.unmoved("oracle")
    found = []
    for row in board.rows:
        if row.selection != "oracle" or row.method.readout != MAIN or row in unmoved:
            continue
        chosen = first[row.method.key, row.method.readout]
        cells = {name: _gain(row.scores(name)["accuracy"], chosen.scores(name)["accuracy"]) for name in board.shown}
        if any(cell.values for cell in cells.values()):
            found.append(Gain(row.method, cells))
    return found


def _gain(oracle: Cell, chosen: Cell) -> Cell:
    """Seed by seed; missing where one of both is."""
    if not (oracle.values and chosen.values):
        return Cell()
    return Cell(tuple(bound - score for bound, score in zip(oracle.values, chosen.values, strict=True)))


def robustness_view(table: Robustness, found: Sequence[Board]) -> RobustnessView:
    """Drawn are the methods of the board's figures, in their colours; without a board (no clean set), the table's."""
    of_board = (board for board in found if (board.encoder_key, board.source) == (table.encoder_key, table.source))
    drawn = {row.method.key for row in drawn_methods(next(of_board, table))}
    rows = [row for row in table.headline if row.method.key in drawn and row.method.readout == MAIN]
    lines = {
        str(row.method): (colour, {kind: table.curve(row, kind) for kind in table.severities})
        for row, colour in zip(rows, colours(len(rows)), strict=True)
        if any(cells["accuracy"].values for name, cells in row.cells.items() if name != CLEAN)
    }
    # Of the drop there is no best: whoever starts low has little to lose.
    columns = [name for name in table.columns if name != DROP]
    return RobustnessView(
        table=table,
        best={(name, metric): table.best(table.headline, name, metric) for name in columns for metric in METRICS},
        figure=curves.corruption_curves(lines, _described(table, rows)) if lines else None,
    )


def _described(table: Robustness, rows: Sequence[Row]) -> str:
    described = "; ".join(
        f"{row.method}: " + ", ".join(f"{name} {row.cells[name]['accuracy']}" for name in table.columns if name != DROP)
        for row in rows
    )
    return f"Accuracy on {table.target} in percent, per corruption from clean to severity 5. Means: {described}."
