"""Targets: recall by expression, confusion matrices, calibration and groups for each target."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray

from fercache.records import INTERVALS, MAIN, CalibrationRecord, Record
from fercache.reporting import curves, figures
from fercache.reporting.boards import Board
from fercache.reporting.drawing import Drawing, colours
from fercache.reporting.export.figure_files import figure_names
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside
from fercache.reporting.sections._error_files import Errors, p_text, shown_errors
from fercache.reporting.sections._leader import shown_rows
from fercache.reporting.table_rows import UNSEEN, Cell, Row
from fercache.scoring.intervals import FEWEST_FACES, few_faces, wilson

FEWEST = 10
"""Confidence bins with fewer faces, over all seeds, are not drawn: they are unreliable, but conspicuous."""

FEW = " *"
"""Marks an expression with too few faces to judge."""

OfCell = Mapping[tuple[str, str, str], Sequence[Record]]
"""Records of every seed by method key, selection and target label."""


@dataclass(frozen=True)
class Confusion:
    """A method's confusion matrix on a target, summed over its seeds.

    Per true expression its faces, and for each predicted one the percentage and the number of answers.
    """

    method: str
    colour: str
    accuracy: Cell
    expressions: tuple[str, ...]
    rows: tuple[tuple[str, int, tuple[tuple[float, int], ...]], ...]


@dataclass(frozen=True)
class Limits:
    """A score in percent, or a calibration error, and its 95 % interval, both averaged over seeds."""

    value: str
    interval: str


@dataclass(frozen=True)
class Sureness:
    """The uncertainty of a method's scores on a target: `limits` by score, which is a row of the table."""

    method: str
    colour: str
    limits: dict[str, Limits]


@dataclass(frozen=True)
class Group:
    """Faces that share a value of a column (age, sex ...), and each drawn method's mean class recall on them."""

    value: str
    faces: int
    cells: tuple[Cell, ...]


def worst(groups: Sequence[Group]) -> tuple[str, ...]:
    """The group value with the lowest recall for each method; "" if there are fewer than two."""
    found = []
    for cells in zip(*(group.cells for group in groups), strict=True):
        means = {group.value: cell.mean for group, cell in zip(groups, cells, strict=True) if cell.mean is not None}
        found.append(min(means, key=lambda value: means[value]) if len(means) > 1 else "")
    return tuple(found)


@dataclass(frozen=True)
class Panel:
    """One target of one board on the page: `leading` has the scores of the leading method there.

    `drawings` are by kind, which is part of their file names.
    """

    label: str
    kind: str
    faces: int
    leading: Row
    drawings: dict[str, Drawing] = field(default_factory=dict)
    confusions: tuple[Confusion, ...] = ()
    sure: tuple[Sureness, ...] = ()
    resampled: str = "faces"
    few: tuple[str, ...] = ()
    groups: dict[str, list[Group]] = field(default_factory=dict)
    errors: Errors | None = None

    @property
    def accuracy(self) -> Cell:
        """The leading method's."""
        return self.leading.cells[self.label]["accuracy"]

    @property
    def mean_class_recall(self) -> Cell:
        """The leading method's."""
        return self.leading.cells[self.label]["mean_class_recall"]

    @property
    def sure_of(self) -> tuple[str, ...]:
        """The scores that have limits."""
        return tuple(dict.fromkeys(heading for each in self.sure for heading in each.limits))


def content(report: Report) -> Content | None:
    """Shown if clean targets were scored."""
    if not report.boards:
        return None
    of_cell = defaultdict(list)
    for record in report.records:
        of_cell[record.method_key, record.selection, record.target_label].append(record)
    errors, files = shown_errors(report)
    found = []
    for board in report.boards:
        rows = shown_rows(board, report.records)
        panels = (panel(board, label, rows, of_cell=of_cell) for label in board.columns)
        key = (board.encoder_key, board.source)
        found += [(board, replace(each, errors=errors.get((*key, each.label)))) for each in panels if each]
    drawings = figure_names(
        ((kind, report.slugs[board.encoder_key, board.source], each.label), drawing)
        for board, each in found
        for kind, drawing in each.drawings.items()
    )
    context = {"panels": found, "worst": worst, "fewest": FEWEST, "fewest_faces": FEWEST_FACES, "p_text": p_text}
    return Content(context | {"hardest": hardest([each for _, each in found])}, drawings, files)


def hardest(panels: Sequence[Panel]) -> Panel | None:
    """The panel of the target that its leading method is worst on; of an unseen one, if there is any."""
    return min(panels, key=lambda each: (each.kind != UNSEEN, each.accuracy.mean or 0.0), default=None)


def panel(board: Board, label: str, shown: Sequence[Row], *, of_cell: OfCell) -> Panel | None:
    """The panel of a target, with the `shown` methods, the leading one first; None if none was scored on it."""
    rows = {
        str(row.method): row
        for row in shown
        if of_cell.get((row.method.key, row.selection, label)) and row.cells[label]["accuracy"].values
    }
    if not rows:
        return None
    records = {name: of_cell[row.method.key, row.selection, label] for name, row in rows.items()}
    colour_of = dict(zip(rows, colours(len(rows)), strict=True))
    drawings = {
        "recall": _recall(label, records),
        "reliability": _reliability(label, records, colour_of),
        "abstention": _abstention(label, records, colour_of),
    }
    return Panel(
        label=label,
        kind=board.kind(label),
        faces=max(record.kept for found in records.values() for record in found),
        leading=next(iter(rows.values())),
        drawings={kind: drawing for kind, drawing in drawings.items() if drawing},
        confusions=tuple(
            _confusion(records[name], name, colour=colour_of[name], accuracy=row.cells[label]["accuracy"])
            for name, row in rows.items()
        ),
        sure=tuple(Sureness(name, colour_of[name], _limits(found)) for name, found in records.items()),
        resampled=next(iter(records.values()))[0].resampled,
        few=few_faces(next(iter(records.values()))[0].scores[MAIN].support),
        groups=_groups(records),
    )


def _recall(label: str, records: Mapping[str, Sequence[Record]]) -> Drawing:
    recalls = {name: _bars(found) for name, found in records.items()}
    expressions = list(dict.fromkeys(expression for recall in recalls.values() for expression in recall))
    for recall in recalls.values():
        recall.update({expression: figures.Bar(Cell()) for expression in expressions if expression not in recall})
    described = "; ".join(
        f"{name}: " + ", ".join(f"{expression} {bar.cell}" for expression, bar in recall.items())
        for name, recall in recalls.items()
    )
    return figures.recall_bars(recalls, expressions, f"Recall per expression on {label} in percent. {described}.")


def _bars(records: Sequence[Record]) -> dict[str, figures.Bar]:
    """The recall of every seed, by expression of the target. All seeds have the same faces, which count once."""
    bars = {}
    for name in records[0].classes:
        scores = [record.scores[MAIN] for record in records]
        shares = [share for each in scores if (share := each.recall[name]) is not None]
        if shares:
            low, high = wilson(fmean(shares), scores[0].support[name])
            mark = FEW if name in few_faces(scores[0].support) else ""
            cell = Cell(tuple(100 * share for share in shares))
            bars[name + mark] = figures.Bar(cell, (100 * float(low), 100 * float(high)))
    return bars


SURE = {
    "accuracy": "accuracy, this mix",
    "accuracy_unconditional": "accuracy, random mix",
    "mean_class_recall": "mean class recall",
}


def _limits(records: Sequence[Record]) -> dict[str, Limits]:
    """The scores with their intervals. Those of older records are not shown: their bootstraps were too narrow."""
    found = {}
    recent = [record.intervals for record in records if "accuracy_unconditional" in record.intervals]
    for name in INTERVALS:
        intervals = [each[name] for each in recent]
        values = [100 * getattr(record.scores[MAIN], name.removesuffix("_unconditional")) for record in records]
        found[SURE[name]] = Limits(_spread(values, 1), _mean_limits(intervals, 100, 1))
    calibrations = {"ECE": [r.calibration for r in records], "ECE, calibrated": [r.calibrated for r in records]}
    for heading, of_records in calibrations.items():
        if measured := [each for each in of_records if each]:
            intervals = [each.interval for each in measured if each.interval]
            found[heading] = Limits(_spread([each.ece for each in measured], 3), _mean_limits(intervals, 1, 3))
    return found


def _mean_limits(intervals: Sequence[tuple[float, float]], scale: int, digits: int) -> str:
    if not intervals:
        return ""
    low, high = (scale * fmean(limits) for limits in zip(*intervals, strict=True))
    return f"{low:.{digits}f}–{high:.{digits}f}"


def _reliability(label: str, records: Mapping[str, Sequence[Record]], colour_of: Mapping[str, str]) -> Drawing | None:
    lines = []
    for name, found in records.items():
        measured = [record.calibration for record in found if record.calibration]
        if not measured:
            continue
        faces = np.sum([each.faces for each in measured], axis=0)
        drawn = faces >= FEWEST
        confidence = _pooled(measured, [each.confidence for each in measured])[drawn]
        right = _pooled(measured, [each.accuracy for each in measured])[drawn]
        error = f"{name}, ECE {_spread([each.ece for each in measured], 3)}"
        weights = list(faces[drawn] / faces.sum())
        lines.append(curves.Line(colour_of[name], error, x=list(confidence), y=list(right), weights=weights))
    return curves.reliability(lines, f"Reliability on {label}. {_described(lines)}.") if lines else None


def _abstention(label: str, records: Mapping[str, Sequence[Record]], colour_of: Mapping[str, str]) -> Drawing | None:
    lines = []
    for name, found in records.items():
        measured = [record.abstention for record in found if record.abstention]
        if not measured:
            continue
        coverage = [100 * share for share in measured[0].coverage]
        risk = 100 * np.mean([each.risk for each in measured], axis=0)
        area = f"{name}, mean {_spread([100 * each.area for each in measured], 1)} %"
        lines.append(curves.Line(colour_of[name], area, x=coverage, y=list(risk)))
    description = f"Error rate among the most confident faces of {label}. {_described(lines)}."
    return curves.abstention(lines, description) if lines else None


def _pooled(measured: Sequence[CalibrationRecord], values: Sequence[Sequence[float | None]]) -> NDArray[np.floating]:
    """In percent, per bin the mean over the faces of all seeds; 0 for a bin without faces."""
    faces = np.array([each.faces for each in measured])
    # An empty bin has no value, and no faces to weigh it with.
    summed: NDArray[np.floating] = (faces * [[value or 0.0 for value in row] for row in values]).sum(axis=0)
    pooled: NDArray[np.floating] = 100 * summed / faces.sum(axis=0).clip(1)
    return pooled


def _spread(values: Sequence[float], digits: int) -> str:
    deviation = f" ±{stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{deviation}"


def _described(lines: Sequence[curves.Line]) -> str:
    return "; ".join(line.label for line in lines)


def _confusion(records: Sequence[Record], name: str, *, colour: str, accuracy: Cell) -> Confusion:
    counts = np.sum([record.scores[MAIN].confusion for record in records], axis=0)
    support, classes = counts.sum(axis=1), records[0].classes
    columns = np.flatnonzero(support + counts.sum(axis=0))
    rows = tuple(
        (
            classes[i],
            int(support[i]) // len(records),
            tuple((100 * count / support[i], int(count)) for count in counts[i, columns]),
        )
        for i in np.flatnonzero(support)
    )
    return Confusion(name, colour, accuracy, expressions=tuple(classes[i] for i in columns), rows=rows)


def _groups(records: Mapping[str, Sequence[Record]]) -> dict[str, list[Group]]:
    """By column that any record has, its values in the order of the alphabet."""
    faces: dict[str, dict[str, int]] = defaultdict(dict)
    for record in (record for found in records.values() for record in found):
        for column, values in record.groups.items():
            for value, scores in values.items():
                faces[column][value] = max(faces[column].get(value, 0), scores.n)
    return {
        column: [
            Group(value, count, tuple(_group_cell(found, column, value) for found in records.values()))
            for value, count in sorted(faces[column].items())
        ]
        for column in sorted(faces)
    }


def _group_cell(records: Sequence[Record], column: str, value: str) -> Cell:
    scores = [record.groups.get(column, {}).get(value) for record in records]
    return Cell() if None in scores else Cell(tuple(100 * each.mean_class_recall for each in scores if each))


plugin = Section(
    title="Targets",
    template=beside(__file__),
    content=content,
    files={"errors/*.js": "every error, for the page", "faces/*.js": "the images of faces, for the page"},
)
