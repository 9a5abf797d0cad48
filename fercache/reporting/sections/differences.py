"""Differences: every method of a board against a baseline, on the faces that both scored, with tests."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fercache.csv_cells import csv_text
from fercache.errors import UsageError, nearest
from fercache.records import MAIN, Record, frame
from fercache.reporting.boards import Board, boards, is_without_duplicates
from fercache.reporting.export.csv_tables import METHOD_COLUMNS, method_cells
from fercache.reporting.predictions import OfCell, Reader, by_cell, by_headline
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside
from fercache.reporting.sections._compared import Metric, Side, on_shared_faces
from fercache.reporting.table_rows import METRIC_NAMES, UNSEEN, Method, Row
from fercache.runtime.progress import say_once
from fercache.scoring.comparison import Difference, Runs, all_differences, holm, mcnemar, target_units

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.05
"""A difference is significant if its adjusted p is below."""

COLUMNS = [
    *METHOD_COLUMNS,
    *["baseline", "selection", "target", "metric", "difference", "low", "high", "p", "p_holm", "smallest", "about"],
    *["seeds", "baseline_seeds", "faces", "mcnemar_p"],
]


@dataclass(frozen=True)
class MethodDifference:
    """The difference of a method to the board's baseline on a target, as a fraction.

    The target "unseen" stands for all unseen targets together, and others like them. `seeds` are the seed counts of the
    method and of the baseline. `p_holm` is adjusted over all such summaries of the board, or over all its differences
    on single targets. `mcnemar_p`, exact and not adjusted, is set for accuracy if both methods have one seed and no
    subjects are known.
    """

    method: Method
    target: str
    metric: Metric
    difference: Difference
    p_holm: float
    seeds: tuple[int, int]
    faces: int
    mcnemar_p: float | None


@dataclass(frozen=True)
class BoardDifferences:
    """All methods of one board against its `baseline`. `missing` lists what has no predictions to compare."""

    board: Board
    baseline: Method
    differences: tuple[MethodDifference, ...]
    missing: tuple[str, ...]

    @cached_property
    def by_method(self) -> dict[Method, dict[tuple[str, str], MethodDifference]]:
        """The differences of each method, by target (or "unseen") and metric."""
        found: dict[Method, dict[tuple[str, str], MethodDifference]] = defaultdict(dict)
        for each in self.differences:
            found[each.method][each.target, each.metric] = each
        return found

    @property
    def columns(self) -> list[str]:
        """The columns of the table: the mean over the unseen targets, then targets in the board's order."""
        there = {each.target for each in self.differences}
        return [column for column in (UNSEEN, *self.board.columns) if column in there]

    @property
    def alike(self) -> str:
        """What all cells say, if they say the same; else ""."""
        return same_result(self.differences)

    @property
    def about_models(self) -> bool:
        """Whether any difference is about trained models only, not methods."""
        return any(each.difference.about != "methods" for each in self.differences)


def same_result(found: Collection[MethodDifference]) -> str:
    """What the cells say, if all on single targets say the same, and all means do; else ""."""
    means, single = ([each for each in found if (each.target == UNSEEN) == mean] for mean in (True, False))
    said = [{_result(each) for each in part} for part in (means, single) if part]
    if len(found) < 2 or any(len(results) > 1 for results in said):
        return ""
    results = list(dict.fromkeys(result for part in said for result in part))
    if len(results) == 1:
        return f"all {len(found)} cells: {results[0]}"
    return f"mean over the unseen targets: {results[0]}; on single targets, all {len(single)} cells: {results[1]}"


def _result(found: MethodDifference) -> str:
    if found.p_holm >= LEVEL:
        return "not significant"
    return "significantly better" if found.difference.value > 0 else "significantly worse"


@dataclass(frozen=True)
class _OnTarget:
    """A difference, and what a summary over targets needs: both methods' scores (S, 1) and the variance of faces."""

    found: MethodDifference
    scores: tuple[Runs, Runs]
    of_faces: float


def content(report: Report) -> Content | None:
    """Shown if a baseline was requested and there are predictions to compare with it."""
    baseline, reader = report.request.baseline, report.reader
    found = differences(report.records, reader, baseline) if reader and baseline else []
    files = {"differences.csv": csv_text(differences_frame(found))}
    context = {"differences": found, "same_result": same_result}
    return Content(context, files=files) if found else None


def differences(records: Sequence[Record], reader: Reader, baseline: str) -> list[BoardDifferences]:
    """The paired differences to the `baseline` on each board that has it, with the epoch chosen on the source.

    `baseline` is a head's name, or a run's name or key, which stands for its method. Compares the faces that all seeds
    of both methods scored, on each target and over all unseen targets if there are several. Leaves out targets without
    duplicates, because predictions do not mark them. Raises UsageError if the records have no such baseline or several.
    """
    chosen = by_headline(records)
    keys = _baseline_keys(records, baseline)
    of_cell = by_cell(chosen)
    found = []
    for board in boards(frame(chosen)) if chosen else []:
        fitting = [row for row in board.headline if row.method.key in keys and row.method.readout == MAIN]
        if len(fitting) > 1:
            raise UsageError(_several(board, baseline, fitting=fitting, records=chosen))
        if fitting:
            found.append(_board_differences(board, fitting[0], of_cell=of_cell, reader=reader))
        else:
            trained = f"trained on {board.source}, encoder {board.encoder}"
            say_once(f"note: {trained}: there is no run of {baseline}, so no method is compared with it there.")
    return found


def differences_frame(found: Iterable[BoardDifferences]) -> "pd.DataFrame":
    """One row per method, target (or "unseen" for all of them) and metric. Differences are in points."""
    import pandas as pd

    rows = [
        (
            *method_cells(of_board.board, each.method),
            *(str(of_board.baseline), of_board.board.policy),
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
    """The method keys that a baseline's name matches."""
    run = Path(baseline).name
    by_run = {r.method_key for r in records if r.run == run or r.run.endswith("-" + run)}
    keys = {record.method_key for record in records if record.head == baseline} or by_run
    if not keys:
        names = {name for record in records for name in (record.head, record.run)}
        raise UsageError(f"There is no head or run '{baseline}' to compare with. {nearest(baseline, names)}")
    return keys


def _several(board: Board, baseline: str, fitting: Sequence[Row], records: Sequence[Record]) -> str:
    run_of = {record.method_key: record.run for record in records}
    runs = ", ".join(f"{run_of[row.method.key]} for {row.method}" for row in fitting)
    return (
        f"'{baseline}' matches {len(fitting)} methods trained on {board.source}, but a baseline must be one method. "
        f"Name one of its runs, as in `--baseline {run_of[fitting[0].method.key]}`: {runs}."
    )


def _board_differences(board: Board, baseline: Row, of_cell: OfCell, reader: Reader) -> BoardDifferences:
    found: list[_OnTarget] = []
    missing: list[str] = []
    for target in (label for label in board.columns if not is_without_duplicates(label)):
        scored = [row for row in board.headline if row.cells[target]["accuracy"].values]
        if baseline not in scored:
            continue
        try:
            theirs = Side.of(reader, baseline, of_cell[baseline.method.key, target])
        except UsageError as error:
            missing.append(f"{baseline.method} on {target}: {error}")
            continue
        on_same_faces: dict[frozenset[int], list[Side]] = defaultdict(list)
        for row in (row for row in scored if row is not baseline):
            try:
                side = Side.of(reader, row, of_cell[row.method.key, target])
                on_same_faces[side.faces].append(side)
            except UsageError as error:
                missing.append(f"{row.method} on {target}: {error}")
        on_target: list[_OnTarget] = []
        for sides in on_same_faces.values():
            try:
                on_target += _compared(sides, theirs)
            except UsageError as error:
                missing += [f"{side.method} on {target}: {error}" for side in sides]
        order = {row.method: place for place, row in enumerate(scored)}
        found += sorted(on_target, key=lambda each: order[each.found.method])
    summaries, single = list(_summaries(found, baseline.unseen)), [each.found for each in found]
    tested = (*_adjusted(summaries), *_adjusted(single))
    return BoardDifferences(board, baseline.method, differences=tested, missing=tuple(missing))


def _adjusted(found: Sequence[MethodDifference]) -> Iterator[MethodDifference]:
    for each, p in zip(found, holm([each.difference.p for each in found]), strict=True):
        yield replace(each, p_holm=p)


def _compared(sides: Sequence[Side], theirs: Side) -> Iterator[_OnTarget]:
    """The differences of sides on the same faces, in both metrics; p is not adjusted yet.

    McNemar's test is about accuracy and assumes independent faces, so it is left out if subjects are known.
    """
    read, compared = on_shared_faces((theirs, *sides))
    first = read[0][0]
    differences = {metric: each.found.to(0) for metric, each in compared.items()}
    for place, side in enumerate(sides, 1):
        seeds = len(side.read), len(theirs.read)
        for metric, each in compared.items():
            tested = seeds == (1, 1) and metric == "accuracy" and first.subjects is None
            difference = differences[metric][place]
            one = MethodDifference(
                method=side.method,
                target=side.target,
                metric=metric,
                difference=difference,
                p_holm=difference.p,
                seeds=seeds,
                faces=len(first.truth),
                mcnemar_p=mcnemar(read[place][0].right, first.right) if tested else None,
            )
            yield _OnTarget(one, (each.scores[place], each.scores[0]), float(each.found.of_units[place, 0]))


def _summaries(found: Sequence[_OnTarget], unseen: Sequence[str]) -> Iterator[MethodDifference]:
    """The differences over all `unseen` targets, for each method that was compared on all of them."""
    of_method: dict[tuple[Method, str], list[_OnTarget]] = defaultdict(list)
    for each in found:
        if each.found.target in unseen:
            of_method[each.found.method, each.found.metric].append(each)
    complete = [parts for parts in of_method.values() if len(parts) == len(unseen) > 1]
    against_same: dict[bytes, list[list[_OnTarget]]] = defaultdict(list)
    for parts in complete:
        against_same[_together(parts, 1).values.tobytes()].append(parts)
    summaries = {id(parts): found for group in against_same.values() for parts, found in _summarised(group)}
    yield from (summaries[id(parts)] for parts in complete)


def _summarised(group: Sequence[list[_OnTarget]]) -> Iterator[tuple[list[_OnTarget], MethodDifference]]:
    """Targets are a random sample: they vary at least as much as the faces of each alone would make them."""
    count = len(group[0])
    least = np.zeros((len(group) + 1, len(group) + 1))
    least[0, 1:] = least[1:, 0] = [np.mean([part.of_faces for part in parts]) / count for parts in group]
    runs = [_together(group[0], 1), *(_together(parts, 0) for parts in group)]
    differences = all_differences(runs, target_units(count), least).to(0)
    for parts, found in zip(group, differences[1:], strict=True):
        faces = sum(part.found.faces for part in parts)
        summary = replace(parts[0].found, target=UNSEEN, difference=found, p_holm=found.p, faces=faces, mcnemar_p=None)
        yield parts, summary


def _together(parts: Sequence[_OnTarget], side: int) -> Runs:
    """(S, T) scores on each target."""
    return Runs(np.hstack([part.scores[side].values for part in parts]), parts[0].scores[side].seeded)


plugin = Section(
    title="Differences",
    heading="Differences to a baseline",
    template=beside(__file__),
    content=content,
    files={"differences.csv": "the differences to the baseline"},
)
