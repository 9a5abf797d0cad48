"""Where the methods of a board stand, within noise: no method is ahead of one that may be as good."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from fercache.csv_cells import csv_text
from fercache.errors import UsageError
from fercache.records import METRICS, Record, frame
from fercache.reporting.boards import Board, boards, is_without_duplicates
from fercache.reporting.predictions import (
    OfCell,
    Reader,
    ReadFaces,
    as_runs,
    by_cell,
    by_headline,
    class_numbers,
    shared_faces,
)
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside
from fercache.reporting.table_rows import METRIC_NAMES, UNSEEN, Method, Row, written
from fercache.runtime.progress import Bar, progress
from fercache.scoring.comparison import Differences, Runs, all_differences, face_units, holm, target_units

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("encoder", "source", "head", "trunk", "readout", "changed_settings", "common_settings", "method_key"),
    *("selection", "target", "metric", "best_rank", "worst_rank", "methods", "seeds"),
)
Metric = Literal["accuracy", "uar"]
LEVEL = 0.05


@dataclass(frozen=True)
class Range:
    """The ranks that a method may have among so many `methods` that were compared: 1 is the best."""

    best: int
    worst: int
    methods: int

    def __str__(self) -> str:
        return str(self.best) if self.best == self.worst else f"{self.best}–{self.worst}"


@dataclass(frozen=True)
class BoardRanks:
    """Of one board: `ranges[method][column, metric]`, where a column is a target label or "unseen".

    `rows` are those that have any, best first. `missing` says what has no predictions to compare.
    """

    board: Board
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    ranges: Mapping[Method, Mapping[tuple[str, Metric], Range]]
    missing: tuple[str, ...]
    single: frozenset[Method]
    """Methods with a random part of which one seed was trained: their ranks are those of that model."""


@dataclass
class _Column:
    """What was compared in one column: the methods, and by metric their scores (S, 1) and differences."""

    methods: list[Method]
    scores: dict[Metric, list[Runs]] = field(default_factory=dict)
    found: dict[Metric, Differences] = field(default_factory=dict)


def content(report: Report) -> Content | None:
    """Shown where a board has two methods or more with predictions."""
    found = report.once(report_ranks)
    return Content({"ranks": found}, files={"ranks.csv": csv_text(ranks_frame(found))}) if found else None


def report_ranks(report: Report) -> list[BoardRanks]:
    """The ranks of a report's methods, which take some time: to be had `once`."""
    return ranks(report.records, report.reader) if report.reader else []


def places_shared(found: Iterable[BoardRanks], board: Board, method: Method) -> tuple[int, int] | None:
    """How many of how many other methods may share the method's place on the unseen targets; None: not compared."""
    for ranked in found:
        if (ranked.board.encoder_key, ranked.board.source) == (board.encoder_key, board.source):
            for other, places in ranked.ranges.items():
                if (other.key, other.readout) == (method.key, method.readout) and (UNSEEN, "accuracy") in places:
                    place = places[UNSEEN, "accuracy"]
                    return place.worst - place.best, place.methods - 1
    return None


def ranks(records: Sequence[Record], reader: Reader) -> list[BoardRanks]:
    """The ranks of each board's methods, with the epoch chosen on the source, on each target and over the unseen ones.

    All pairs of methods are compared on the faces that all of them read, and their p adjusted by Holm for the pairs of
    a column. Methods that were scored on fewer faces than others are left out, and targets without duplicates.
    Boards with fewer than two methods have no ranks.
    """
    chosen = by_headline(records)
    of_cell = by_cell(chosen)
    compared = boards(frame(chosen)) if chosen else []
    with progress("ranks", sum(len(board.headline) * len(_targets(board)) for board in compared), "score") as bar:
        found = [_board_ranks(board, of_cell, reader, bar) for board in compared]
    return [each for each in found if each.rows]


def ranks_frame(found: Iterable[BoardRanks]) -> "pd.DataFrame":
    """A row per method, column of the table and metric."""
    import pandas as pd

    rows = [
        (
            *(of_board.board.encoder, of_board.board.source, method.head, method.trunk, method.readout),
            *(method.changed_text, written(method.common), method.key),
            *(of_board.board.policy, column, METRIC_NAMES[metric]),
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

    A method is behind those that are significantly better, and ahead of those that are significantly worse.
    """
    count = len(value)
    above = np.triu_indices(count, 1)
    clear = np.zeros((count, count), dtype=bool)
    clear[above] = np.array(holm(list(p[above]))) < LEVEL
    clear |= clear.T
    better, worse = (clear & (value < 0)).sum(axis=1), (clear & (value > 0)).sum(axis=1)
    return [Range(1 + int(b), count - int(w), count) for b, w in zip(better, worse, strict=True)]


def _targets(board: Board) -> list[str]:
    return [label for label in board.columns if not is_without_duplicates(label)]


def _board_ranks(board: Board, of_cell: OfCell, reader: Reader, bar: Bar) -> BoardRanks:
    missing: list[str] = []
    columns = {}
    for target in _targets(board):
        read: list[tuple[Row, list[ReadFaces]]] = []
        for row in board.headline:
            bar.update()
            if row.cells[target]["accuracy"].values and not board.fewer(row, target):
                try:
                    read.append((row, reader.of_row(row, target, of_cell)))
                except UsageError as error:
                    missing.append(f"{row.method} on {target}: {error}")
        try:
            if len(read) > 1:
                seeded = [of_cell[row.method.key, target][0].is_seeded for row, _ in read]
                columns[target] = _on_target(read, seeded)
        except UsageError as error:
            missing.append(f"{target}: {error}")
    unseen = [columns[target] for target in board.headline[0].unseen if target in columns]
    if len(unseen) == len(board.headline[0].unseen) > 1:
        columns = {UNSEEN: _over_targets(unseen), **columns}
    ranges: dict[Method, dict[tuple[str, Metric], Range]] = defaultdict(dict)
    for name, column in columns.items():
        for metric, found in column.found.items():
            for method, there in zip(column.methods, rank_ranges(found.value, found.p), strict=True):
                ranges[method][name, metric] = there
    rows = sorted(
        (row for row in board.headline if row.method in ranges),
        key=lambda row: [_place(row, ranges[row.method], name) for name in columns],
    )
    single = {
        method
        for column in columns.values()
        for method, runs in zip(column.methods, column.scores["accuracy"], strict=True)
        if runs.one_of_many
    }
    return BoardRanks(board, tuple(columns), tuple(rows), ranges, tuple(missing), frozenset(single))


def _place(row: Row, ranges: Mapping[tuple[str, Metric], Range], column: str) -> tuple[float, ...]:
    """What rows are sorted by."""
    there, mean = ranges.get((column, "accuracy")), row.scores(column)["accuracy"].mean
    return (np.inf, 0, 0) if there is None else (there.best, there.worst, -(mean or 0))


def _on_target(read: Sequence[tuple[Row, list[ReadFaces]]], seeded: Sequence[bool]) -> _Column:
    shared = iter(shared_faces([each for _, of_row in read for each in of_row]))
    faces = [list(islice(shared, len(of_row))) for _, of_row in read]
    methods = [as_runs(each, seeded=random) for each, random in zip(faces, seeded, strict=True)]
    truth, subjects = class_numbers(faces[0][0].truth), faces[0][0].subjects
    column = _Column([row.method for row, _ in read])
    for metric in METRICS:
        units = face_units(truth, metric, subjects)
        column.found[metric] = all_differences(methods, units)
        column.scores[metric] = [Runs(runs.scores(units), runs.seeded) for runs in methods]
    return column


def _over_targets(columns: Sequence[_Column]) -> _Column:
    """Of the methods that were compared on each target: other targets might have been scored."""
    methods = [method for method in columns[0].methods if all(method in column.methods for column in columns)]
    places = [[column.methods.index(method) for method in methods] for column in columns]
    together = _Column(methods)
    for metric in METRICS:
        scores = [[column.scores[metric][i] for i in place] for column, place in zip(columns, places, strict=True)]
        of_faces = [
            column.found[metric].of_units[np.ix_(place, place)] for column, place in zip(columns, places, strict=True)
        ]
        together.scores[metric] = [
            Runs(np.hstack([runs.values for runs in of_method]), of_method[0].seeded)
            for of_method in zip(*scores, strict=True)
        ]
        if len(methods) > 1:
            least = np.mean(of_faces, axis=0) / len(columns)
            together.found[metric] = all_differences(together.scores[metric], target_units(len(columns)), least)
    return together


plugin = Section(
    title="Ranks",
    heading="Ranks within noise",
    template=beside(__file__),
    content=content,
    files={"ranks.csv": "the ranks within noise"},
)
