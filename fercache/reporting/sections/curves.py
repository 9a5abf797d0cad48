"""Curves: how each method was trained, by epoch, and which snapshot was chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fercache.errors import UsageError
from fercache.records import Record
from fercache.reporting.boards import Board
from fercache.reporting.curves import Training, training_curves
from fercache.reporting.drawing import Drawing
from fercache.reporting.export.figure_files import figure_names
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside
from fercache.reporting.table_rows import Method
from fercache.scoring.selection import BY_SHIFTED
from fercache.store.runs import read_run

SCORES = {
    "validation_accuracy": "accuracy on source validation",
    "validation_mean_class_recall": "mean class recall on source validation",
    "shifted_accuracy": "accuracy on shifted source validation",
}
"""What a history says about the source's held-out faces, by column."""

NOT_LOSSES = {"epoch", "snapshot", "temperature", "shifted_mean_class_recall", *SCORES}


@dataclass(frozen=True)
class Trained:
    """The curves of a method on a board, with the number of its runs that were read."""

    board: Board
    method: Method
    runs: int
    drawing: Drawing


def content(report: Report) -> Content | None:
    """Shown if the cache has a run that was trained by epochs."""
    found = [each for board in report.boards for each in trained(board, report)]
    if not found:
        return None
    drawings = figure_names(
        (("curves", report.slugs[each.board.encoder_key, each.board.source], str(each.method)), each.drawing)
        for each in found
    )
    gist = f"{len(found)} {'method' if len(found) == 1 else 'methods'} by epoch, the chosen snapshot marked"
    return Content({"curves": found}, drawings, gist=gist)


def trained(board: Board, report: Report) -> list[Trained]:
    """The drawn methods of a board that were trained by epochs, as far as their runs are in the report's cache."""
    if report.cache is None:
        return []
    found = []
    for row in board.drawn:
        chosen = {record.run: record for record in report.records if _is_of(record, board, row.method)}
        runs = [run for record in chosen.values() if (run := training(report.cache, record))]
        if runs:
            found.append(Trained(board, row.method, len(runs), training_curves(runs, _described(row.method, runs))))
    return found


def training(cache: Path, record: Record) -> Training | None:
    """A run by epoch; None if it was fitted in one step, or cannot be read."""
    try:
        history = read_run(cache / "runs" / record.run).history
    except UsageError:  # absent or damaged; `cache verify` reports it
        return None
    by = SCORES["shifted_accuracy" if record.selection == BY_SHIFTED else "validation_accuracy"]
    scores = _columns(history, SCORES, 100)
    chosen = next((int(row["epoch"]) for row in history if row["snapshot"] == record.snapshot), 0)
    if len(history) < 2 or not chosen or by not in scores:
        return None
    return Training(
        epochs=[int(row["epoch"]) for row in history],
        scores=scores,
        losses=_columns(history, {name: name.replace("_", " ") for name in history[0] if name not in NOT_LOSSES}, 1),
        chosen=chosen,
        chosen_by=by,
    )


def _columns(history: Sequence[Mapping[str, Any]], names: Mapping[str, str], scale: int) -> dict[str, list[float]]:
    """The columns that have a number in every row, by the name that a reader sees."""
    there = {column: [row.get(column) for row in history] for column in names}
    return {
        names[column]: [scale * value for value in values if isinstance(value, float | int)]
        for column, values in there.items()
        if all(isinstance(value, float | int) for value in values)
    }


def _is_of(record: Record, board: Board, method: Method) -> bool:
    same = (record.encoder_key, record.source) == (board.encoder_key, board.source)
    return same and record.method_key == method.key and record.selection == board.policy


def _described(method: Method, runs: Sequence[Training]) -> str:
    chosen = ", ".join(str(run.chosen) for run in runs)
    best = ", ".join(f"{max(run.scores[run.chosen_by]):.1f}" for run in runs)
    return f"{method} by epoch. Highest {runs[0].chosen_by} of each seed: {best} %. Epochs chosen: {chosen}."


plugin = Section(title="Learning curves", template=beside(__file__), content=content, folded=True)
