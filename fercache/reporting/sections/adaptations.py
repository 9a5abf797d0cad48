"""Adapted to the target: every adapted method beside the unadapted one, and whether the guard was right."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from fercache.policies import UNGUARDED
from fercache.records import MAIN, Record
from fercache.reporting.boards import Board
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside
from fercache.reporting.table_rows import Cell, Method

DECIDED = 0.5
"""Points of accuracy: a smaller change does not show whether the guard was right."""


@dataclass(frozen=True)
class Change:
    """An adapted method on one target: the unadapted accuracy, the change in points, both over seeds.

    `declined` counts the seeds for which the guard declined.
    """

    before: Cell
    change: Cell
    declined: int

    @property
    def hurts(self) -> bool:
        """Whether accuracy falls by more than the rounding."""
        return (self.change.mean or 0) < -0.05


@dataclass(frozen=True)
class Row:
    """A method with an adaptation; `changes` by target label."""

    method: Method
    adaptation: str
    changes: Mapping[str, Change]

    @property
    def mean(self) -> float:
        """The mean change over the targets, in points."""
        return fmean(each.change.mean or 0 for each in self.changes.values())


@dataclass(frozen=True)
class Guarded:
    """How often the guard of an `adaptation` was right, in `decided` of `all` cases: runs on targets whose accuracy
    changes by DECIDED points without the guard.

    `accepted` cases were adapted; `gain` and `without` are the mean changes in points with and without the guard.
    """

    adaptation: str
    all: int
    decided: int
    right: int
    accepted: int
    gain: float
    without: float


@dataclass(frozen=True)
class View:
    """The adapted methods of one board."""

    board: Board
    labels: tuple[str, ...]
    rows: tuple[Row, ...]
    guards: tuple[Guarded, ...]


def content(report: Report) -> Content | None:
    """Shown if any run was adapted."""
    views = [view for board in report.boards if (view := _view(board, report))]
    names = dict.fromkeys(row.adaptation for view in views for row in view.rows)
    return Content({"views": views}, gist=", ".join(names)) if views else None


_Case = tuple[str, str]
"""A run and a target's label."""


def _view(board: Board, report: Report) -> View | None:
    plain = {_case(record): record for record in report.records if _is_of(record, board)}
    adapted: dict[str, dict[_Case, Record]] = defaultdict(dict)
    for record in report.adapted:
        if _is_of(record, board) and record.adaptation and _case(record) in plain:
            adapted[record.adaptation.name][_case(record)] = record
    if not adapted:
        return None
    labels = tuple(label for label in board.columns if any(label == case[1] for of in adapted.values() for case in of))
    rows = [
        row
        for method in (row.method for row in board.headline if row.method.readout == MAIN)
        for name, cases in sorted(adapted.items())
        if (row := _row(method, name, plain=plain, cases=cases, labels=labels))
    ]
    return View(board, labels, tuple(rows), guards=tuple(_guards(plain, adapted)))


def _is_of(record: Record, board: Board) -> bool:
    same = (record.encoder_key, record.source) == (board.encoder_key, board.source)
    return same and record.selection == board.policy and not record.without_duplicates


def _case(record: Record) -> _Case:
    return record.run, record.target_label


def _row(
    method: Method,
    name: str,
    *,
    plain: Mapping[_Case, Record],
    cases: Mapping[_Case, Record],
    labels: Sequence[str],
) -> Row | None:
    changes: dict[str, Change] = {}
    for label in labels:
        pairs = [(plain[c], r) for c, r in cases.items() if c[1] == label and plain[c].method_key == method.key]
        if pairs:
            changes[label] = Change(
                before=Cell(tuple(100 * _accuracy(before) for before, _ in pairs)),
                change=Cell(tuple(_gain(before, after) for before, after in pairs)),
                declined=sum(bool(after.adaptation and after.adaptation.declined) for _, after in pairs),
            )
    return Row(method, name, changes) if changes else None


def _guards(plain: Mapping[_Case, Record], adapted: Mapping[str, Mapping[_Case, Record]]) -> Iterable[Guarded]:
    """For each adaptation that was applied both with and without its guard."""
    for name, cases in adapted.items():
        without = adapted.get(f"{name}{UNGUARDED}", {})
        both = [case for case in cases if case in without]
        if not both:
            continue
        accepted = [not (a := cases[case].adaptation) or not a.declined for case in both]
        gains = [_gain(plain[case], without[case]) for case in both]
        decided = [(gain > 0) == taken for gain, taken in zip(gains, accepted, strict=True) if abs(gain) >= DECIDED]
        yield Guarded(
            adaptation=name,
            all=len(both),
            decided=len(decided),
            right=sum(decided),
            accepted=sum(accepted),
            gain=fmean(_gain(plain[case], cases[case]) for case in both),
            without=fmean(gains),
        )


def _accuracy(record: Record) -> float:
    return record.scores[MAIN].accuracy


def _gain(before: Record, after: Record) -> float:
    return 100 * (_accuracy(after) - _accuracy(before))


plugin = Section(title="Adapted to the target", template=beside(__file__), content=content, folded=True)
