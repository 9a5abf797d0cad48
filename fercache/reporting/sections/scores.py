"""Scores: methods x targets, and the distance of the targets from the source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fercache.csv_cells import csv_text
from fercache.records import Record, frame
from fercache.reporting import figures
from fercache.reporting.boards import Board, is_without_duplicates, mix_notes
from fercache.reporting.drawing import Drawing
from fercache.reporting.export import csv_tables
from fercache.reporting.export.figure_files import figure_names
from fercache.reporting.export.latex import latex
from fercache.reporting.export.markdown import markdown
from fercache.reporting.export.paper_tables import kept_faces, paper_tables
from fercache.reporting.export.published_rows import rows_of
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside
from fercache.reporting.sections._compared import Metric
from fercache.reporting.sections.ranks import BoardRanks, Range, ranks_of, report_ranks
from fercache.reporting.table_rows import SELECTIONS, Cell
from fercache.scoring.drift import Drift

Best = dict[tuple[str, str], float | None]
"""The highest mean by column and metric, as printed."""

Ranges = Mapping[tuple[str, Metric], Range]
"""A method's ranks by column and metric."""


@dataclass(frozen=True)
class Distance:
    """The distance of a target from the source, and the `accuracy` of the board's leading method on it."""

    label: str
    drift: Drift
    accuracy: Cell


@dataclass(frozen=True)
class BoardScores:
    """A board on the page. `best` is by selection policy; the oracle has none.

    `ranks` within noise are by method key and readout, then by column and metric. `not_compared` are training datasets
    that were not searched for images of the targets.
    """

    board: Board
    best: dict[str, Best]
    ranks: dict[tuple[str, str], Ranges]
    gap: Drawing | None
    not_compared: list[str]
    distances: list[Distance]


def content(report: Report) -> Content:
    """Always shown."""
    ranked = report.once(report_ranks)
    views = [board_scores(board, report.records, ranked) for board in report.boards]
    mix = report.request.class_mix
    context = {
        "views": views,
        "choices": _choices(report.boards),
        "mix_notes": mix_notes(report.scores, mix) if mix else [],
        "unique": any(record.without_duplicates for record in report.records),
    }
    slugs = report.slugs
    drawings = [(("gap", slugs[view.board.encoder_key, view.board.source]), view.gap) for view in views if view.gap]
    return Content(context, figure_names(drawings), _files(report))


def _files(report: Report) -> dict[str, str]:
    renamed = [*report.records, *report.adapted] != report.stored
    every = frame(report.stored, report.request.class_mix) if renamed else report.scores
    texts = {"results.csv": csv_text(csv_tables.results(every))}
    if report.boards or report.adapted_boards:
        texts |= {"summary.csv": csv_text(csv_tables.summary(report.scores))}
    if report.boards:
        papers = paper_tables(report.boards, kept_faces(report.records), rows_of(report.request.published))
        texts |= {"table.md": markdown(papers), "table.tex": latex(papers)}
    return texts


def board_scores(board: Board, records: Sequence[Record], ranked: Sequence[BoardRanks] = ()) -> BoardScores:
    """The scores of a board as the page shows them."""
    found = ranks_of(ranked, board)
    ranges = found.ranges.items() if found else ()
    return BoardScores(
        board=board,
        best={selection: _best(board, selection) for selection in board.selections},
        ranks={(method.key, method.readout): there for method, there in ranges},
        gap=_gap(board),
        not_compared=_not_compared(board, records),
        distances=distances(board, records),
    )


def _best(board: Board, selection: str) -> Best:
    if selection == "oracle":
        return {}
    rows = [row for row in board.rows if row.selection == selection]
    return {(column, metric): board.best(rows, column, metric) for column in board.shown for metric in board.metrics}


def _gap(board: Board) -> Drawing | None:
    pairs = {str(row.method): (board.source_scores(row), row.unseen_mean) for row in board.drawn}
    scores = {name: (own["accuracy"], unseen["accuracy"]) for name, (own, unseen) in pairs.items() if own}
    if not (board.unseen and scores):
        return None
    described = "; ".join(
        f"{name}: {source} on the source, {unseen} unseen" for name, (source, unseen) in scores.items()
    )
    return figures.generalisation_gap(scores, f"Accuracy in percent. {described}.")


def _not_compared(board: Board, records: Sequence[Record]) -> list[str]:
    methods = {row.method.key for row in board.rows}
    return sorted({name for record in records if record.method_key in methods for name in record.not_compared})


def distances(board: Board, records: Sequence[Record]) -> list[Distance]:
    """The distances of targets whose records have one, in the order of the board's columns; none without a method."""
    leading = board.leading(board.headline)
    methods = {row.method.key for row in board.rows}
    found = {r.target_label: r.drift for r in records if r.method_key in methods and r.drift}
    labels = [label for label in board.columns if label in found and not is_without_duplicates(label)]
    return [Distance(label, found[label], leading.cells[label]["accuracy"]) for label in labels] if leading else []


def _choices(boards: Sequence[Board]) -> dict[str, list[str]]:
    """The filters of the tables that have more than one option; the policy shown first comes first."""
    methods = [row.method for board in boards for row in board.rows]
    policies = dict.fromkeys(board.policy for board in boards)
    policies |= {name: None for name in SELECTIONS if any(name in board.selections for board in boards)}
    choices = {
        "head": list(dict.fromkeys(method.head for method in methods)),
        "trunk": list(dict.fromkeys(method.trunk for method in methods)),
        "policy": list(policies),
    }
    return {name: options for name, options in choices.items() if len(options) > 1}


plugin = Section(
    title="Scores",
    template=beside(__file__),
    content=content,
    files={
        "results.csv": "one row per run, target, selection policy and readout",
        "summary.csv": "the tables of scores",
        "table.md": "the tables of scores, for a paper",
        "table.tex": "the tables of scores, for a paper",
    },
)
