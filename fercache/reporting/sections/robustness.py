"""Robustness: how much accuracy methods lose when a target's images are corrupted."""

from collections.abc import Sequence
from dataclasses import dataclass

from fercache.csv_cells import csv_text
from fercache.images.corruptions import KINDS
from fercache.records import MAIN, METRICS
from fercache.reporting import curves
from fercache.reporting.boards import Board
from fercache.reporting.drawing import Drawing, colours
from fercache.reporting.export.csv_tables import robustness_rows
from fercache.reporting.export.figure_files import figure_names
from fercache.reporting.report import Report
from fercache.reporting.robustness_tables import CLEAN, DROP, MEAN, Robustness, spans
from fercache.reporting.sections import Content, Section, beside
from fercache.reporting.table_rows import Row


@dataclass(frozen=True)
class RobustnessView:
    """A robustness table with its figure, and the highest mean of its headline by column and metric."""

    table: Robustness
    best: dict[tuple[str, str], float | None]
    figure: Drawing | None


def content(report: Report) -> Content | None:
    """Shown if corrupted targets were scored."""
    if not report.robustness:
        return None
    views = [robustness_view(table, report.boards) for table in report.robustness]
    kinds = {kind: KINDS[kind] for kind in KINDS if any(kind in view.table.severities for view in views)}
    names = {"spans": spans, "clean": CLEAN, "mean": MEAN, "drop": DROP}
    drawings = [
        (("robustness", report.slugs[view.table.encoder_key, view.table.source], view.table.target), view.figure)
        for view in views
        if view.figure
    ]
    files = {"robustness.csv": csv_text(robustness_rows(report.scores))}
    gist = f"{', '.join(dict.fromkeys(view.table.target for view in views))}, {len(kinds)} corruptions"
    return Content({"robustness": views, "kinds": kinds} | names, figure_names(drawings), files, gist)


def robustness_view(table: Robustness, found: Sequence[Board]) -> RobustnessView:
    """The view of a table. Its figure shows the methods of the board's figures; without a board, the table's own."""
    of_board = (board for board in found if (board.encoder_key, board.source) == (table.encoder_key, table.source))
    drawn = {row.method.key for row in next(of_board, table).drawn}
    rows = [row for row in table.headline if row.method.key in drawn and row.method.readout == MAIN]
    lines = {
        str(row.method): (colour, {kind: table.curve(row, kind) for kind in table.severities})
        for row, colour in zip(rows, colours(len(rows)), strict=True)
        if any(cells["accuracy"].values for name, cells in row.cells.items() if name != CLEAN)
    }
    # The drop has no best: a method that starts low has little to lose.
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


plugin = Section(
    title="Robustness",
    template=beside(__file__),
    content=content,
    folded=True,
    files={"robustness.csv": "the tables of corrupted targets, by severity"},
)
