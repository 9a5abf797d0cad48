"""Settings: accuracy by the value of a setting, for methods that differ in nothing else."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from numbers import Real

from fercache.records import MAIN
from fercache.reporting.boards import Board
from fercache.reporting.curves import setting_curve
from fercache.reporting.drawing import Drawing
from fercache.reporting.export.figure_files import figure_names
from fercache.reporting.method_names import Changed
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside
from fercache.reporting.table_rows import Cell, Row, Scores

LEAST = 3
"""The smallest number of values for a curve."""


_Kind = tuple[str, str, str, Changed]
"""Head, trunk, name of the setting, and the other settings."""


@dataclass(frozen=True)
class Sweep:
    """Methods of one head and trunk by one setting's value. `fixed` are the other settings that differ elsewhere."""

    head: str
    trunk: str
    name: str
    fixed: Changed
    values: tuple[float, ...]
    curves: dict[str, tuple[Cell, ...]]
    drawing: Drawing


def content(report: Report) -> Content | None:
    """Shown if a setting has enough values for a curve."""
    found = [(board, sweep) for board in report.boards for sweep in sweeps(board)]
    drawings = figure_names(
        (("setting", report.slugs[board.encoder_key, board.source], sweep.head, sweep.name), sweep.drawing)
        for board, sweep in found
    )
    gist = ", ".join(dict.fromkeys(sweep.name for _, sweep in found))
    return Content({"sweeps": found}, drawings, gist=gist) if found else None


def sweeps(board: Board) -> list[Sweep]:
    """One sweep per numeric setting and choice of the other settings, with at least `LEAST` values.

    Uses the headline's rows in their main readout; leaves out sweeps without complete scores.
    """
    found: dict[_Kind, dict[float, Row]] = defaultdict(dict)
    for row in (row for row in board.headline if row.method.readout == MAIN):
        for name, value, others in _numeric(row.method.changed):
            found[row.method.head, row.method.trunk, name, others][value] = row
    drawn = (_sweep(board, kind, dict(sorted(rows.items()))) for kind, rows in found.items() if len(rows) >= LEAST)
    return [sweep for sweep in drawn if sweep]


def _numeric(changed: Changed) -> Iterable[tuple[str, float, Changed]]:
    """Every numeric setting with its value, and the other settings."""
    for place, (name, value) in enumerate(changed):
        if isinstance(value, Real) and not isinstance(value, bool) and isfinite(value):
            yield name, float(value), (*changed[:place], *changed[place + 1 :])


def _sweep(board: Board, kind: _Kind, rows: dict[float, Row]) -> Sweep | None:
    head, trunk, name, fixed = kind
    scores: dict[str, list[Scores | None]] = {
        "source": [board.source_scores(row) for row in rows.values()],
        "mean over unseen targets": [row.unseen_mean for row in rows.values()],
    }
    curves = {label: tuple(each["accuracy"] for each in row if each) for label, row in scores.items()}
    curves = {label: cells for label, cells in curves.items() if any(cell.values for cell in cells)}
    if not curves:
        return None
    described = "; ".join(
        f"{label}: " + ", ".join(f"{value:g} {cell}" for value, cell in zip(rows, cells, strict=True))
        for label, cells in curves.items()
    )
    description = f"Accuracy of {head} in percent by {name}. {described}."
    drawing = setting_curve(tuple(rows), curves, name, description=description)
    return Sweep(head, trunk, name, fixed=fixed, values=tuple(rows), curves=curves, drawing=drawing)


plugin = Section(title="Settings", template=beside(__file__), content=content, folded=True)
