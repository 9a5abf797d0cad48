"""Every method of a board against a baseline, on the faces that both read: is the difference more than chance?"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from fercache.errors import UsageError, nearest
from fercache.records import MAIN, METRICS, Record, frame
from fercache.reporting.boards import Board, boards, is_without_duplicates
from fercache.reporting.readings import (
    OfCell,
    Reader,
    ReadFaces,
    as_runs,
    by_cell,
    by_headline,
    class_numbers,
    shared_faces,
)
from fercache.reporting.rows import METRIC_NAMES, UNSEEN, Method, Row
from fercache.scoring.comparison import Difference, Runs, all_differences, face_units, holm, mcnemar, target_units

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("encoder", "source", "head", "trunk", "readout", "changed_settings", "baseline", "selection", "target", "metric"),
    *("difference", "low", "high", "p", "p_holm", "smallest", "about", "seeds", "baseline_seeds", "faces", "mcnemar_p"),
)


@dataclass(frozen=True)
class MethodDifference:
    """How much better a method is than the board's baseline on a target, as fractions.

    With the target "unseen" it is about all unseen targets together, and others like them. `seeds` are those of the
    method and of the baseline. `p_holm` is adjusted for all such summaries of the board, or else for all its
    differences on single targets. `mcnemar_p`, exact and not adjusted, is there for accuracy where both methods have
    one seed and no subjects are known.
    """

    method: Method
    target: str
    metric: Literal["accuracy", "uar"]
    difference: Difference
    p_holm: float
    seeds: tuple[int, int]
    faces: int
    mcnemar_p: float | None


@dataclass(frozen=True)
class BoardDifferences:
    """All methods of one board against its `baseline`. `missing` says what has no predictions to compare."""

    board: Board
    baseline: Method
    differences: tuple[MethodDifference, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class _OnTarget:
    """Beside a difference, what a summary over targets needs: both methods' scores (S, 1), the variance of faces."""

    found: MethodDifference
    scores: tuple[Runs, Runs]
    of_faces: float


def differences(records: Sequence[Record], reader: Reader, baseline: str) -> list[BoardDifferences]:
    """The paired differences to the `baseline` on each board that has it, with the epoch chosen on the source.

    `baseline` is a head's name, or a run's (or the first digits of its key), which stands for its method. Compared are
    faces that all seeds of both methods read: on each target, and over all unseen targets where there are several.
    Targets without duplicates are left out, since predictions do not say which faces those are. Raises UsageError when
    the records have no such baseline, or several.
    """
    chosen = by_headline(records)
    keys = _baseline_keys(records, baseline)
    of_cell = by_cell(chosen)
    found = []
    for board in boards(frame(chosen)) if chosen else []:
        fitting = [row for row in board.headline if row.method.key in keys and row.method.readout == MAIN]
        if len(fitting) > 1:
            raise UsageError(_several(board, baseline, fitting, chosen))
        if fitting:
            found.append(_board_differences(board, fitting[0], of_cell, reader))
    return found


def differences_frame(found: Iterable[BoardDifferences]) -> "pd.DataFrame":
    """A row per method, target (or "unseen" for all of them) and metric. Differences are in points."""
    import pandas as pd

    rows = [
        (
            *(of_board.board.encoder, of_board.board.source, each.method.head, each.method.trunk, each.method.readout),
            *(each.method.changed_text, str(of_board.baseline), of_board.board.policy),
            *(each.target, METRIC_NAMES[each.metric]),
            *(100 * value for value in (each.difference.value, each.difference.low, each.difference.high)),
            *(each.difference.p, each.p_holm, 100 * each.difference.smallest, each.difference.about),
            *(*each.seeds, each.faces, each.mcnemar_p),
        )
        for of_board in found
        for each in of_board.differences
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _baseline_keys(records: Sequence[Record], baseline: str) -> set[str]:
    """The keys of the methods that are meant."""
    run = Path(baseline).name
    by_run = {r.method_key for r in records if r.run == run or r.run.endswith("-" + run)}
    keys = {record.method_key for record in records if record.head == baseline} or by_run
    if not keys:
        names = {name for record in records for name in (record.head, record.run)}
        raise UsageError(f"There is no head and no run called '{baseline}' to compare with. {nearest(baseline, names)}")
    return keys


def _several(board: Board, baseline: str, fitting: Sequence[Row], records: Sequence[Record]) -> str:
    run_of = {record.method_key: record.run for record in records}
    runs = ", ".join(f"{run_of[row.method.key]} for {row.method}" for row in fitting)
    return (
        f"'{baseline}' is {len(fitting)} methods trained on {board.source}, where a baseline must be one. "
        f"Name a run of the one that you mean: {runs}."
    )


def _board_differences(board: Board, baseline: Row, of_cell: OfCell, reader: Reader) -> BoardDifferences:
    found: list[_OnTarget] = []
    missing: list[str] = []
    for target in (label for label in board.columns if not is_without_duplicates(label)):
        scored = [row for row in board.headline if row.cells[target]["accuracy"].values]
        if baseline not in scored:
            continue
        try:
            theirs = _Side(baseline, target, of_cell, reader)
        except UsageError as error:
            missing.append(f"{baseline.method} on {target}: {error}")
            continue
        for row in (row for row in scored if row is not baseline):
            try:
                found += _compared(_Side(row, target, of_cell, reader), theirs)
            except UsageError as error:
                missing.append(f"{row.method} on {target}: {error}")
    summaries, single = list(_summaries(found, baseline.unseen)), [each.found for each in found]
    return BoardDifferences(board, baseline.method, (*_adjusted(summaries), *_adjusted(single)), tuple(missing))


def _adjusted(found: Sequence[MethodDifference]) -> Iterator[MethodDifference]:
    for each, p in zip(found, holm([each.difference.p for each in found]), strict=True):
        yield replace(each, p_holm=p)


class _Side:
    """A method of the board, and what it read of a target, one per seed."""

    def __init__(self, row: Row, target: str, of_cell: OfCell, reader: Reader) -> None:
        self.method, self.target = row.method, target
        self.read: list[ReadFaces] = reader.of_row(row, target, of_cell)
        self.seeded = of_cell[row.method.key, target][0].is_seeded


def _compared(ours: _Side, theirs: _Side) -> Iterator[_OnTarget]:
    """In both metrics; p is not adjusted yet.

    McNemar's test is one of accuracy, and takes faces for independent: there is none where subjects are known.
    """
    shared = shared_faces([*ours.read, *theirs.read])
    seeds = len(ours.read), len(theirs.read)
    sides = as_runs(shared[: seeds[0]], seeded=ours.seeded), as_runs(shared[seeds[0] :], seeded=theirs.seeded)
    truth, subjects = class_numbers(shared[0].truth), shared[0].subjects
    for metric in METRICS:
        units = face_units(truth, metric, subjects)
        both = all_differences(sides, units)
        found = both.between(0, 1)
        tested = seeds == (1, 1) and metric == "accuracy" and subjects is None
        mcnemar_p = mcnemar(shared[0].right, shared[1].right) if tested else None
        on_target = MethodDifference(ours.method, ours.target, metric, found, found.p, seeds, len(truth), mcnemar_p)
        scores = Runs(sides[0].scores(units), ours.seeded), Runs(sides[1].scores(units), theirs.seeded)
        yield _OnTarget(on_target, scores, float(both.of_units[0, 1]))


def _summaries(found: Sequence[_OnTarget], unseen: Sequence[str]) -> Iterator[MethodDifference]:
    """Over all `unseen` targets, for each method that was compared on each of them."""
    of_method: dict[tuple[Method, str], list[_OnTarget]] = defaultdict(list)
    for each in found:
        if each.found.target in unseen:
            of_method[each.found.method, each.found.metric].append(each)
    for parts in of_method.values():
        if len(parts) == len(unseen) > 1:
            yield _summary(parts)


def _summary(parts: Sequence[_OnTarget]) -> MethodDifference:
    """Other targets might have been scored: they vary at least as much as the faces of each alone would make them."""
    ours, theirs = (
        Runs(np.hstack([part.scores[side].values for part in parts]), parts[0].scores[side].seeded) for side in (0, 1)
    )
    least = np.full((2, 2), np.mean([part.of_faces for part in parts]) / len(parts))
    found = all_differences((ours, theirs), target_units(len(parts)), least).between(0, 1)
    faces = sum(part.found.faces for part in parts)
    return replace(parts[0].found, target=UNSEEN, difference=found, p_holm=found.p, faces=faces, mcnemar_p=None)
