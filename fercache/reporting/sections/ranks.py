"""Ranks within noise: no method ranks above one that may be as good."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fercache.csv_cells import csv_text
from fercache.errors import UsageError
from fercache.records import METRICS, Record, frame
from fercache.reporting.boards import Board, boards, is_without_duplicates
from fercache.reporting.export.csv_tables import METHOD_COLUMNS, method_cells
from fercache.reporting.predictions import OfCell, Reader, by_cell, by_headline
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside
from fercache.reporting.sections._compared import Compared, Metric, Side, on_shared_faces
from fercache.reporting.table_rows import METRIC_NAMES, UNSEEN, Method, Row
from fercache.runtime.progress import Bar, progress
from fercache.scoring.comparison import Difference, Runs, all_differences, holm, target_units

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [*METHOD_COLUMNS, *["selection", "target", "metric", "best_rank", "worst_rank", "methods", "seeds"]]
LEVEL = 0.05


@dataclass(frozen=True)
class Range:
    """The ranks that a method may have among the compared `methods`; 1 is the best."""

    best: int
    worst: int
    methods: int

    def __str__(self) -> str:
        return str(self.best) if self.best == self.worst else f"{self.best}–{self.worst}"


@dataclass(frozen=True)
class Column:
    """The methods compared in one column, and their comparison by metric."""

    methods: list[Method]
    compared: Mapping[Metric, Compared]

    def ranges(self, metric: Metric) -> dict[Method, Range]:
        """The ranks that each method may have."""
        found = self.compared[metric].found
        return dict(zip(self.methods, rank_ranges(found.value, found.p), strict=True))

    def against(self, method: Method, metric: Metric) -> dict[Method, tuple[Difference, bool]]:
        """The difference of every other method to `method`, as a fraction, and whether one of them ranks higher."""
        found, place = self.compared[metric].found, self.methods.index(method)
        clear = clear_differences(found.p)[place]
        pairs = zip(self.methods, found.to(place), clear, strict=True)
        return {other: (difference, bool(ranked)) for other, difference, ranked in pairs if other != method}


@dataclass(frozen=True)
class BoardRanks:
    """The ranks of one board: `ranges[method][column, metric]`, where a column is a target label or "unseen".

    `rows` are the methods that have ranks, best first. `missing` lists what has no predictions to compare.
    """

    board: Board
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    ranges: Mapping[Method, Mapping[tuple[str, Metric], Range]]
    missing: tuple[str, ...]
    single: frozenset[Method]
    """Methods with random parts and a single seed: their ranks are those of that model."""
    overall: Column | None = None
    """The comparison over all unseen targets, or on the only one."""


def content(report: Report) -> Content | None:
    """Shown if a board has two or more methods with predictions."""
    found = report.once(report_ranks)
    files = {"ranks.csv": csv_text(ranks_frame(found))}
    return Content({"ranks": found}, files=files, gist="on every target, in both metrics") if found else None


def report_ranks(report: Report) -> list[BoardRanks]:
    """The ranks of a report's methods. They take some time, so use `Report.once`."""
    return ranks(report.records, report.reader) if report.reader else []


def ranks_of(found: Iterable[BoardRanks], board: Board) -> BoardRanks | None:
    """The ranks of a board; None if nothing was compared there."""
    keys = board.encoder_key, board.source
    return next((each for each in found if (each.board.encoder_key, each.board.source) == keys), None)


def ranks(records: Sequence[Record], reader: Reader) -> list[BoardRanks]:
    """The ranks of each board's methods, with the epoch chosen on the source, on each target and over the unseen ones.

    Compares all pairs of methods on the faces that all of them scored, with p Holm-adjusted over the pairs of a column.
    Leaves out methods that were scored on fewer faces than others, targets without duplicates, and boards with fewer
    than two methods.
    """
    chosen = by_headline(records)
    of_cell = by_cell(chosen)
    compared = boards(frame(chosen)) if chosen else []
    with progress("ranks", sum(len(board.headline) * len(_targets(board)) for board in compared), "score") as bar:
        found = [_board_ranks(board, of_cell, reader=reader, bar=bar) for board in compared]
    return [each for each in found if each.rows]


def ranks_frame(found: Iterable[BoardRanks]) -> "pd.DataFrame":
    """One row per method, column of the table and metric."""
    import pandas as pd

    rows = [
        (
            *(*method_cells(of_board.board, method), of_board.board.policy, column, METRIC_NAMES[metric]),
            *(there.best, there.worst, there.methods, len(row.seeds)),
        )
        for of_board in found
        for row in of_board.rows
        for method in (row.method,)
        for (column, metric), there in of_board.ranges[method].items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def rank_ranges(value: NDArray[np.float64], p: NDArray[np.float64]) -> list[Range]:
    """(M, M) differences, rows minus columns, and their p -> the ranks that each method may have.

    A method ranks below those that are significantly better, and above those that are significantly worse.
    """
    count, clear = len(value), clear_differences(p)
    better, worse = (clear & (value < 0)).sum(axis=1), (clear & (value > 0)).sum(axis=1)
    return [Range(1 + int(b), count - int(w), count) for b, w in zip(better, worse, strict=True)]


def clear_differences(p: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(M, M) p values of all pairs -> (M, M) whether their differences are significant, Holm-adjusted."""
    above = np.triu_indices(len(p), 1)
    clear = np.zeros(p.shape, dtype=bool)
    clear[above] = np.array(holm(list(p[above]))) < LEVEL
    return np.asarray(clear | clear.T)


def _targets(board: Board) -> list[str]:
    return [label for label in board.columns if not is_without_duplicates(label)]


def _board_ranks(board: Board, of_cell: OfCell, reader: Reader, bar: Bar) -> BoardRanks:
    missing: list[str] = []
    columns = {}
    for target in _targets(board):
        sides = []
        for row in board.headline:
            bar.update()
            if row.cells[target]["accuracy"].values and not board.fewer(row, target):
                try:
                    sides.append(Side.of(reader, row, of_cell[row.method.key, target]))
                except UsageError as error:
                    missing.append(f"{row.method} on {target}: {error}")
        try:
            if len(sides) > 1:
                columns[target] = Column([side.method for side in sides], on_shared_faces(sides)[1])
        except UsageError as error:
            missing.append(f"{target}: {error}")
    counted = board.counted
    unseen = [columns[target] for target in counted if target in columns]
    overall = None
    if counted and len(unseen) == len(counted):
        overall = unseen[0] if len(unseen) == 1 else _over_targets(unseen)
    if overall and len(unseen) > 1:
        columns = {UNSEEN: overall, **columns}
    ranges: dict[Method, dict[tuple[str, Metric], Range]] = defaultdict(dict)
    for name, column in columns.items():
        for metric in column.compared:
            for method, there in column.ranges(metric).items():
                ranges[method][name, metric] = there
    rows = sorted(
        (row for row in board.headline if row.method in ranges),
        key=lambda row: [_place(row, ranges[row.method], name) for name in columns],
    )
    single = {
        method
        for column in columns.values()
        if column.compared
        for method, runs in zip(column.methods, column.compared["accuracy"].scores, strict=True)
        if runs.one_of_many
    }
    return BoardRanks(
        board=board,
        columns=tuple(columns),
        rows=tuple(rows),
        ranges=ranges,
        missing=tuple(missing),
        single=frozenset(single),
        overall=overall if overall and overall.compared else None,
    )


def _place(row: Row, ranges: Mapping[tuple[str, Metric], Range], column: str) -> tuple[float, ...]:
    """The sort key of a row."""
    there, mean = ranges.get((column, "accuracy")), row.scores(column)["accuracy"].mean
    return (np.inf, 0, 0) if there is None else (there.best, there.worst, -(mean or 0))


def _over_targets(columns: Sequence[Column]) -> Column:
    """The column over all targets, a random sample, of the methods that were compared on each of them."""
    methods = [method for method in columns[0].methods if all(method in column.methods for column in columns)]
    if len(methods) < 2:
        return Column(methods, {})
    places = [[column.methods.index(method) for method in methods] for column in columns]
    together = {}
    for metric in METRICS:
        on_targets = [column.compared[metric] for column in columns]
        scores = [[each.scores[i] for i in place] for each, place in zip(on_targets, places, strict=True)]
        of_faces = [each.found.of_units[np.ix_(place, place)] for each, place in zip(on_targets, places, strict=True)]
        runs = [Runs(np.hstack([each.values for each in of]), of[0].seeded) for of in zip(*scores, strict=True)]
        least = np.mean(of_faces, axis=0) / len(columns)
        together[metric] = Compared(runs, all_differences(runs, target_units(len(columns)), least))
    return Column(methods, together)


plugin = Section(
    title="Ranks",
    heading="Ranks within noise",
    template=beside(__file__),
    content=content,
    folded=True,
    files={"ranks.csv": "the ranks within noise"},
)
