"""Matrix: sources x targets for every method, with the averages over targets and over sources.

Only unseen targets count in an average; a missing one voids it, as in all tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from fercache.identity import key_of
from fercache.policies import Sees
from fercache.records import METRICS
from fercache.reporting.boards import Board, is_without_duplicates
from fercache.reporting.leave_one_out import without_source
from fercache.reporting.method_rows import method_rows
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside
from fercache.reporting.table_rows import Cell, Method, Row, Scores

if TYPE_CHECKING:
    import pandas as pd

ARROW = " → "
"""Between source and target in the label of a pair."""


@dataclass(frozen=True)
class Place:
    """One source and target: the scores, and why they do not count, "" if they do."""

    scores: Scores
    not_counted: str


@dataclass(frozen=True)
class Line:
    """A source of a matrix: a place for each target that any of its methods was scored on, and the average."""

    source: str
    places: dict[str, Place]
    average: Scores


@dataclass(frozen=True)
class Matrix:
    """A method's lines, and their averages: over sources by target, and `overall` over the lines' averages.

    `fewer`: it was scored on fewer faces than others, so it is not compared.
    """

    method: Method
    fewer: bool
    lines: tuple[Line, ...]
    by_target: dict[str, Scores]
    overall: Scores


@dataclass(frozen=True)
class Matrices:
    """The matrices of all methods with one encoder, the highest overall accuracy first."""

    encoder: str
    policy: str
    targets: tuple[str, ...]
    matrices: tuple[Matrix, ...]
    notes: tuple[str, ...]

    def best(self, target: str, metric: str) -> float | None:
        """The highest average over sources on a target, or overall for "", as printed."""
        compared = [each for each in self.matrices if not each.fewer]
        cells = [each.by_target.get(target, {}) if target else each.overall for each in compared]
        means = [round(cell.mean, 1) for scores in cells if (cell := scores.get(metric)) and cell.mean is not None]
        return max(means, default=None)


def content(report: Report) -> Content | None:
    """Shown if methods with one encoder have several sources."""
    found = matrices(report)
    return Content({"encoders": found}) if found else None


def matrices(report: Report) -> list[Matrices]:
    """One per encoder with several boards, of methods that are the same except for their source."""
    by_encoder: dict[str, list[Board]] = {}
    for board in report.boards:
        by_encoder.setdefault(board.encoder_key, []).append(board)
    found = []
    for key, boards in by_encoder.items():
        if len({board.source for board in boards}) > 1:
            found.append(_of_encoder(report, key, boards=boards))
    return found


def _of_encoder(report: Report, encoder_key: str, boards: Sequence[Board]) -> Matrices:
    first = boards[0].policy
    targets = tuple(sorted({label for board in boards for label in board.columns if not is_without_duplicates(label)}))
    part = _pairs(report, encoder_key)
    labels = sorted(set(part["target_label"]))
    rows = [row for row in method_rows(part, labels, first) if row.selection == first]
    most = {label: max(row.faces.get(label, 0) for row in rows) for label in labels}
    made = sorted((_matrix(row, boards, targets=targets, most=most) for row in rows), key=_worst_last)
    notes = tuple(f"{board.source}: average {board.mean_note}" for board in boards if board.not_counted)
    return Matrices(boards[0].encoder, first, targets=targets, matrices=tuple(made), notes=notes)


def _pairs(report: Report, encoder_key: str) -> "pd.DataFrame":
    """The scores with one encoder; a method's key leaves out its source, and a target's label begins with it."""
    keys = {record.method_key: key_of(without_source(record)) for record in report.records}
    scores = report.scores
    part = scores[(scores["encoder_key"] == encoder_key) & (scores["method_sees"] == Sees.NOTHING)].copy()
    part["target_label"] = part["source"] + ARROW + part["target_label"]
    part["method_key"] = part["method_key"].map(keys)
    return part


def _matrix(row: Row, boards: Sequence[Board], *, targets: Sequence[str], most: Mapping[str, int]) -> Matrix:
    lines = tuple(_line(row, board, targets) for board in boards)
    counted = {target: [line.places[target] for line in lines if target in line.places] for target in targets}
    by_target = {
        target: average([place.scores for place in places if not place.not_counted])
        for target, places in counted.items()
    }
    overall = average([line.average for line in lines if line.average])
    fewer = any(faces < most[label] for label, faces in row.faces.items())
    return Matrix(row.method, fewer, lines=lines, by_target=by_target, overall=overall)


def _line(row: Row, board: Board, targets: Sequence[str]) -> Line:
    there = [target for target in targets if target in board.columns]
    of_target = {target: row.cells.get(f"{board.source}{ARROW}{target}", {}) for target in there}
    places = {target: Place(scores, _not_counted(board, target)) for target, scores in of_target.items()}
    counted = [place.scores for place in places.values() if not place.not_counted]
    return Line(board.source, places, average(counted))


def _not_counted(board: Board, target: str) -> str:
    if target in board.unseen:
        return "" if target in board.counted else "not scored by every method"
    return board.kind(target)


def average(scores: Sequence[Scores]) -> Scores:
    """The mean of each metric: seed by seed if all have as many seeds, else of the means. Missing if any of them is.

    Empty without scores.
    """
    if not scores:
        return {}
    return {metric: _average([each.get(metric, Cell()) for each in scores]) for metric in METRICS}


def _average(cells: Sequence[Cell]) -> Cell:
    if any(cell.mean is None for cell in cells):
        return Cell()
    if len({len(cell.values) for cell in cells}) == 1:
        return Cell(tuple(fmean(seed) for seed in zip(*(cell.values for cell in cells), strict=True)))
    return Cell((fmean(cell.mean for cell in cells if cell.mean is not None),))


def _worst_last(matrix: Matrix) -> float:
    accuracy = matrix.overall.get("accuracy", Cell()).mean
    return 1.0 if accuracy is None else -accuracy


plugin = Section(title="Matrix", heading="Sources by targets", template=beside(__file__), content=content)
