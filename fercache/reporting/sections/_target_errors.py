"""Every error on a target: the faces that a shown method got wrong, with the answers of all methods on them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fercache.errors import UsageError
from fercache.expressions import EXPRESSIONS
from fercache.records import MAIN, Record
from fercache.reporting.boards import Board, is_without_duplicates
from fercache.reporting.predictions import Reader, ReadFaces
from fercache.reporting.report import Report
from fercache.reporting.sections._leader import shown_rows
from fercache.reporting.table_rows import Method
from fercache.runtime.progress import progress
from fercache.scoring.comparison import mcnemar

MOST_ON_TARGET = 5000
"""Listed faces of a target: about 15 MB with images."""
MOST_IN_CELL = (MOST_ON_TARGET, 500, 200, 100, 50, 20, 10)
"""Listed faces of a cell of a confusion matrix: the first of these numbers that keeps the limit of a target."""
CERTAIN = 10_000
"""A probability of 1. Whole numbers sort equally everywhere, and are shorter as text."""
NOT_SCORED = -1

Cells: TypeAlias = dict[tuple[int, int], NDArray[np.int64]]
"""The faces of each true and predicted expression that differ, by their indices: the most confident first."""


@dataclass(frozen=True)
class Answered:
    """A method on N faces of a target, with S seeds, the lowest first.

    `answer` (S, N) indexes the expressions of the target, NOT_SCORED for faces that a seed was not scored on. `sure`
    and `first` (N, L) are probabilities as shares of CERTAIN: the mean over the seeds, and those of the first. `counts`
    are the faces that any seed got wrong, by true and predicted expression: all of them, listed or not.
    """

    method: Method
    seeds: tuple[int, ...]
    answer: NDArray[np.int8]
    sure: NDArray[np.int16]
    first: NDArray[np.int16]
    counts: Mapping[tuple[int, int], int]


@dataclass(frozen=True)
class MethodPair:
    """The faces that the first seeds of two methods, `a` and `b` by index, got right: both, one of them, neither.

    `p` is McNemar's, which assumes independent faces: None if a subject has several.
    """

    a: int
    b: int
    both: int
    only_a: int
    only_b: int
    neither: int
    p: float | None


@dataclass(frozen=True)
class TargetErrors:
    """The listed faces of one target of a board, N of them: `id` and `truth` (N,), which indexes the `expressions`.

    They are those that any of the `methods`, the leading one first, got wrong with any seed, but of a cell of a
    confusion matrix only the `most` confident. `missing` are the methods without predictions. `record` is one of the
    target's.
    """

    board: Board
    label: str
    record: Record
    expressions: tuple[str, ...]
    id: NDArray[np.object_]
    truth: NDArray[np.int8]
    methods: tuple[Answered, ...]
    pairs: tuple[MethodPair, ...]
    most: int
    missing: tuple[str, ...]

    @property
    def target(self) -> str:
        """The name of its dataset."""
        return self.record.target

    def cells(self, method: int) -> Cells:
        """The listed errors of a method, by index."""
        return _cells(self.truth, self.methods[method].answer, self.methods[method].sure)


def report_errors(report: Report) -> list[TargetErrors]:
    """Those of each target of each board, where predictions are there. They take some time, so use `Report.once`."""
    if report.reader is None:
        return []
    of_cell = defaultdict(list)
    for record in sorted(report.records, key=lambda record: record.seed):
        of_cell[record.method_key, record.selection, record.target_label].append(record)
    shown = [(board, label) for board in report.boards for label in board.columns if not is_without_duplicates(label)]
    found = []
    with progress("errors", len(shown), "target") as bar:
        for board, label in shown:
            rows = shown_rows(board, report.records)
            own = {row.method: of_cell[row.method.key, row.selection, label] for row in rows}
            found.append(target_errors(board, label, own, reader=report.reader))
            bar.update()
    return [each for each in found if each]


def target_errors(
    board: Board, label: str, of_methods: Mapping[Method, Sequence[Record]], reader: Reader
) -> TargetErrors | None:
    """The errors of methods on a target, from their records, one per seed; None without predictions."""
    scored = {method: records for method, records in of_methods.items() if records}
    read: dict[Method, list[ReadFaces]] = {}
    missing = []
    for method, records in scored.items():
        try:
            read[method] = [reader.faces(record, MAIN) for record in records]
        except UsageError:  # the section of ranks says why
            missing.append(str(method))
    if not read:
        return None
    names = {name for records in scored.values() for record in records for name in record.classes}
    expressions = tuple(name for name in EXPRESSIONS if name in names)
    faces = _Faces([each for of_method in read.values() for each in of_method], expressions)
    methods, cells = [], []
    for method, of_seeds in read.items():
        answer = np.stack([faces.answers(each) for each in of_seeds])
        sure, first = _sure(faces, of_seeds, scored[method], reader=reader)
        cells.append(_cells(faces.truth, answer, sure))
        counts = {cell: len(rows) for cell, rows in cells[-1].items()}
        seeds = tuple(record.seed for record in scored[method])
        methods.append(Answered(method, seeds, answer=answer, sure=sure, first=first, counts=counts))
    independent = all(_are_independent(each.subject) for of_method in read.values() for each in of_method)
    firsts = [each.answer[0] for each in methods]
    pairs = tuple(_pair(faces.truth, firsts, ab, independent=independent) for ab in combinations(range(len(firsts)), 2))
    most, rows = _listed(cells)
    return TargetErrors(
        board=board,
        label=label,
        record=next(iter(scored.values()))[0],
        expressions=expressions,
        id=faces.id[rows],
        truth=faces.truth[rows],
        methods=tuple(_of_rows(each, rows) for each in methods),
        pairs=pairs,
        most=most,
        missing=tuple(missing),
    )


class _Faces:
    """The faces that any run was scored on; one with two labels counts as two.

    `id` (N,), and `truth` (N,), which indexes the expressions.
    """

    def __init__(self, read: Sequence[ReadFaces], expressions: Sequence[str]) -> None:
        self.expressions = expressions
        place: dict[tuple[str, str], int] = {}
        self._rows = {
            self._of(each): np.array(
                [place.setdefault(face, len(place)) for face in zip(each.id, each.truth, strict=True)], dtype=np.int64
            )
            for each in {self._of(each): each for each in read}.values()
        }
        self.id = np.array([id for id, _ in place], dtype=object)
        self.truth = np.array([expressions.index(name) for _, name in place], dtype=np.int8)

    def rows(self, read: ReadFaces) -> NDArray[np.int64]:
        """The indices of a run's faces."""
        return self._rows[self._of(read)]

    def answers(self, read: ReadFaces) -> NDArray[np.int8]:
        """(N,) a run's answers, NOT_SCORED for faces of other runs."""
        number = np.array([self.expressions.index(name) for name in read.names], dtype=np.int8)
        answers = np.full(len(self.id), NOT_SCORED, dtype=np.int8)
        answers[self.rows(read)] = number[read.answer]
        return answers

    @staticmethod
    def _of(read: ReadFaces) -> tuple[int, int]:
        """Runs on the same faces share their arrays."""
        return id(read.id), id(read.truth)


def _sure(
    faces: _Faces, read: Sequence[ReadFaces], records: Sequence[Record], *, reader: Reader
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """The probabilities of a method's runs: their mean, and those of the first."""
    summed = np.zeros((len(faces.id), len(faces.expressions)))
    first = summed
    seeds = np.zeros((len(faces.id), 1))
    for place, (each, record) in enumerate(zip(read, records, strict=True)):
        columns = np.array([faces.expressions.index(name) for name in record.classes])
        summed[np.ix_(faces.rows(each), columns)] += reader.probabilities(record)
        seeds[faces.rows(each)] += 1
        first = summed.copy() if place == 0 else first
    return _rounded(summed / np.maximum(seeds, 1)), _rounded(first)


def _rounded(share: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.rint(CERTAIN * share).astype(np.int16)


def _cells(truth: NDArray[np.int8], answer: NDArray[np.int8], sure: NDArray[np.int16]) -> Cells:
    """By true and predicted expression, the faces that any seed got wrong in this way."""
    found = {}
    for predicted in range(sure.shape[1]):
        rows = np.flatnonzero((answer == predicted).any(axis=0) & (truth != predicted))
        rows = rows[np.argsort(-sure[rows, predicted], kind="stable")]
        for true in np.unique(truth[rows]):
            found[int(true), predicted] = rows[truth[rows] == true]
    return found


def _listed(cells: Sequence[Cells]) -> tuple[int, NDArray[np.int64]]:
    """The most faces to list of a cell, and the listed faces of all methods."""
    rows: dict[int, None] = {}
    for most in MOST_IN_CELL:
        # Faces of one cell are near each other, and so are their images in the files.
        rows = dict.fromkeys(row for of_method in cells for of in of_method.values() for row in of[:most].tolist())
        if len(rows) <= MOST_ON_TARGET:
            break
    return most, np.array(list(rows), dtype=np.int64)


def _of_rows(each: Answered, rows: NDArray[np.int64]) -> Answered:
    return replace(each, answer=each.answer[:, rows], sure=each.sure[rows], first=each.first[rows])


def _are_independent(subject: NDArray[np.object_]) -> bool:
    """Whether no known subject has several faces."""
    known = subject[subject != ""].tolist()
    return len(set(known)) == len(known)


def _pair(
    truth: NDArray[np.int8], answers: Sequence[NDArray[np.int8]], places: tuple[int, int], *, independent: bool
) -> MethodPair:
    of_a, of_b = (answers[place] for place in places)
    scored = (of_a != NOT_SCORED) & (of_b != NOT_SCORED)
    a, b = (answer[scored] == truth[scored] for answer in (of_a, of_b))
    return MethodPair(
        *places,
        both=int((a & b).sum()),
        only_a=int((a & ~b).sum()),
        only_b=int((b & ~a).sum()),
        neither=int((~a & ~b).sum()),
        p=mcnemar(a, b) if independent else None,
    )


def wrong_of(errors: TargetErrors, method: int, most: int) -> list[tuple[int, int]]:
    """The errors of a method that it is most confident about, as pairs of a listed face and what was predicted."""
    sure = errors.methods[method].sure
    wrong = [(row, predicted) for (_, predicted), rows in errors.cells(method).items() for row in rows[:most].tolist()]
    of_face: dict[int, tuple[int, int]] = {}
    for row, predicted in sorted(wrong, key=lambda each: -int(sure[each])):
        of_face.setdefault(row, (row, predicted))  # seeds may be wrong in several ways
    return list(of_face.values())[:most]
