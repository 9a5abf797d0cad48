"""A report: results.csv, summary.csv, robustness.csv, figures of masks, and the page, one self-contained HTML file.

Everything is drawn from records, but for the masks, which are in the predictions.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fercache.corruptions import KINDS
from fercache.errors import UsageError
from fercache.records import MAIN, METRICS, WITHOUT_DUPLICATES, Record, frame
from fercache.reporting import figures, tables
from fercache.reporting.boards import METRIC_NAMES, MISSING, SELECTIONS, UNSEEN, Board, Cell, MethodTable, Row, boards
from fercache.reporting.commands import collapsed, commands
from fercache.reporting.masks import MaskFigure, mask_figures
from fercache.reporting.robustness import CLEAN, DROP, MEAN, Robustness, robustness


@dataclass(frozen=True)
class Confusion:
    """A method's confusion matrix on a target, summed over its seeds: per true expression its faces and percentages."""

    method: str
    colour: str
    accuracy: Cell
    expressions: tuple[str, ...]
    rows: tuple[tuple[str, int, tuple[float, ...]], ...]


@dataclass(frozen=True)
class Panel:
    """What the page shows of one target of one board."""

    label: str
    kind: str
    faces: int
    recall: Markup
    confusions: tuple[Confusion, ...]


def write_report(records: Sequence[Record], folder: Path, cache: Path | None = None) -> Path:
    """Writes `results.csv`, `summary.csv`, `robustness.csv` and `index.html` into `folder`; returns the page.

    A summary is of targets that are not corrupted, `robustness.csv` of those that are: without any, the file is not
    there. With the `cache` that holds the records' predictions, `masks-<head>-<source>.svg` shows the masks of a head
    that has them. Raises UsageError when there is nothing to report, or when two records fill the same cell.
    """
    if not records:
        raise UsageError("There are no records to compare. Type `fercache evaluate` to score the finished runs.")
    records = sorted(records, key=lambda record: (record.run, record.target_label, record.selection))
    _check_distinct(records)
    scores = frame(records)
    found, spoilt = boards(scores), robustness(scores)
    masks = mask_figures(records, found, cache) if cache else []
    texts = dict.fromkeys(path.name for path in folder.glob("masks-*.svg"))  # an earlier report's
    texts |= {figure.file: figure.document for figure in masks if figure.panels}
    texts |= {
        "results.csv": tables.csv_text(tables.results(scores)),
        "summary.csv": tables.csv_text(tables.summary(scores)) if found else None,
        "robustness.csv": tables.csv_text(tables.robustness_rows(scores)) if spoilt else None,
        "index.html": render(records, found, spoilt, masks, folder.name),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        if text is None:
            (folder / name).unlink(missing_ok=True)
        else:
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return folder / "index.html"


def _check_distinct(records: Sequence[Record]) -> None:
    runs: dict[tuple[str, int, str, str], str] = {}
    for record in records:
        cell = (record.method_key, record.seed, record.target_label, record.selection)
        if cell in runs:
            raise UsageError(
                f"{runs[cell]} and {record.run} both hold the same method's and seed's score on {record.target_label} "
                f"({record.selection}). Name the runs to compare: fercache compare RUN ..."
            )
        runs[cell] = record.run


def render(
    records: Sequence[Record],
    found: Sequence[Board],
    spoilt: Sequence[Robustness],
    masks: Sequence[MaskFigure],
    name: str,
) -> str:
    """The page's HTML. `name` is the report's, for the command that writes it again."""
    environment = Environment(
        loader=PackageLoader("fercache.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        name=name,
        records=len(records),
        boards=[_board_view(board, records) for board in found],
        robustness=[_robustness_view(table, found) for table in spoilt],
        masks=masks,
        kinds={kind: KINDS[kind] for kind in KINDS if any(kind in table.severities for table in spoilt)},
        samples=_samples(records),
        keys=sorted({key for record in records for key in _keys(record)}),
        runs=sorted({(record.run, record.keys.get("run", "")) for record in records}),
        versions=sorted({f"{name} {version}" for record in records for name, version in record.versions.items()}),
        commands=commands(records, name),
        selections=SELECTIONS,
        metrics=METRIC_NAMES,
        missing=MISSING,
        unseen=UNSEEN,
        without_duplicates=WITHOUT_DUPLICATES,
        unique=any(record.without_duplicates for record in records),
        clean=CLEAN,
        mean=MEAN,
        drop=DROP,
        spans=tables.spans,
    )


def _board_view(board: Board, records: Sequence[Record]) -> dict[str, Any]:
    of_cell: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for record in records:
        of_cell[record.method_key, record.selection, record.target_label].append(record)
    drawn = drawn_methods(board)
    panels = (_panel(board, label, drawn, of_cell) for label in board.columns)
    leader = _leader(board)
    return {
        "board": board,
        "policies": _policy_rows(board),
        "best": {
            (name, metric): board.best(board.headline, name, metric) for name in board.shown for metric in METRICS
        },
        "leader": leader,
        "leader_gap": _leader_gap(board, leader),
        "gap": _gap(board, drawn),
        "panels": [panel for panel in panels if panel.confusions],
    }


def drawn_methods(table: MethodTable) -> list[Row]:
    """The headline rows that figures show: of each head and trunk the variant most accurate on its own source."""
    best: dict[tuple[str, str], Row] = {}
    for row in (row for row in table.headline if row.method.readout == MAIN):
        kind = (row.method.head, row.method.trunk)
        best[kind] = max(best.get(kind, row), row, key=lambda row: _source_accuracy(table, row) or 0.0)
    return list(best.values())


def _source_accuracy(table: MethodTable, row: Row) -> float | None:
    return row.cells[table.own[0]]["accuracy"].mean if isinstance(table, Board) and table.own else None


def _leader(board: Board) -> Row | None:
    """The headline row with the best mean accuracy over the unseen targets."""
    complete = [row for row in board.headline if row.unseen_mean["accuracy"].mean is not None]
    return max(complete, key=lambda row: row.unseen_mean["accuracy"].mean or 0.0, default=None)


def _leader_gap(board: Board, leader: Row | None) -> float | None:
    """Points between the leader's mean over unseen targets and its own source."""
    source = _source_accuracy(board, leader) if leader else None
    unseen = leader.unseen_mean["accuracy"].mean if leader else None
    return None if source is None or unseen is None else unseen - source


def _policy_rows(board: Board) -> list[tuple[Row, str, int]]:
    """All rows, method by method, with the policy to print and the rows that the method's heading spans (0: none)."""
    unmoved = [row for selection in board.selections for row in board.unmoved(selection)]
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in board.rows:
        groups[row.method.key, row.method.readout].append(row)
    printed = []
    for rows in groups.values():
        if len(rows) > 1 and all(row in unmoved for row in rows[1:]):
            printed.append((rows[0], "all alike", 1))
        else:
            printed += [(row, row.selection, 0 if i else len(rows)) for i, row in enumerate(rows)]
    return printed


def _gap(board: Board, drawn: Sequence[Row]) -> Markup | None:
    if not (board.own and board.unseen and drawn):
        return None
    scores = {str(row.method): (row.cells[board.own[0]]["accuracy"], row.unseen_mean["accuracy"]) for row in drawn}
    told = "; ".join(f"{name}: {source} on the source, {unseen} unseen" for name, (source, unseen) in scores.items())
    return Markup(figures.generalisation_gap(scores, f"Accuracy in percent. {told}."))


def _robustness_view(table: Robustness, found: Sequence[Board]) -> dict[str, Any]:
    # Drawn are the methods of the board's figures, in their colours; there is no board where no clean set was scored.
    of_board = (board for board in found if (board.encoder_key, board.source) == (table.encoder_key, table.source))
    drawn = {row.method.key for row in drawn_methods(next(of_board, table))}
    rows = [row for row in table.headline if row.method.key in drawn and row.method.readout == MAIN]
    curves = {
        str(row.method): (colour, {kind: table.curve(row, kind) for kind in table.severities})
        for row, colour in zip(rows, figures.colours(len(rows)), strict=True)
        if any(cells["accuracy"].values for name, cells in row.cells.items() if name != CLEAN)
    }
    return {
        "table": table,
        "best": {
            (name, metric): table.best(table.headline, name, metric)
            for name in table.columns
            for metric in METRICS
            if name != DROP  # whoever starts low has little to lose
        },
        "legend": {name: colour for name, (colour, _) in curves.items()},
        "figure": Markup(figures.corruption_curves(curves, _told(table, rows))) if curves else None,
    }


def _told(table: Robustness, rows: Sequence[Row]) -> str:
    told = "; ".join(
        f"{row.method}: " + ", ".join(f"{name} {row.cells[name]['accuracy']}" for name in table.columns if name != DROP)
        for row in rows
    )
    return f"Accuracy on {table.target} in percent, per corruption from clean to severity 5. Means: {told}."


def _panel(board: Board, label: str, drawn: Sequence[Row], of_cell: dict[tuple[str, str, str], list[Record]]) -> Panel:
    shown = {
        str(row.method): (row, found)
        for row in drawn
        if (found := of_cell.get((row.method.key, row.selection, label), [])) and row.cells[label]["accuracy"].values
    }
    kind = board.kind(label)
    if not shown:
        return Panel(label, kind, 0, Markup(), ())
    recalls = {name: _recalls(found) for name, (_, found) in shown.items()}
    expressions = list(dict.fromkeys(expression for recall in recalls.values() for expression in recall))
    for recall in recalls.values():
        recall.update({expression: Cell() for expression in expressions if expression not in recall})
    told = "; ".join(
        f"{name}: " + ", ".join(f"{expression} {cell}" for expression, cell in recall.items())
        for name, recall in recalls.items()
    )
    description = f"Recall per expression on {label} in percent. {told}."
    colours = figures.colours(len(shown))
    confusions = tuple(
        _confusion(name, colour, row.cells[label]["accuracy"], found)
        for (name, (row, found)), colour in zip(shown.items(), colours, strict=True)
    )
    faces = max(record.kept for _, found in shown.values() for record in found)
    return Panel(label, kind, faces, Markup(figures.recall_bars(recalls, expressions, description)), confusions)


def _recalls(records: Sequence[Record]) -> dict[str, Cell]:
    """Per expression that the target has, its recall in percent for every seed."""
    recalls = [record.scores[MAIN].recall for record in records]
    values = {name: [recall[name] for recall in recalls] for name in records[0].classes}
    return {
        name: Cell(tuple(100 * value for value in row if value is not None))
        for name, row in values.items()
        if any(value is not None for value in row)
    }


def _confusion(name: str, colour: str, accuracy: Cell, records: Sequence[Record]) -> Confusion:
    counts = np.sum([record.scores[MAIN].confusion for record in records], axis=0)
    support, classes = counts.sum(axis=1), records[0].classes
    columns = np.flatnonzero(support + counts.sum(axis=0))
    rows = tuple(
        (classes[i], int(support[i]) // len(records), tuple(100 * counts[i, columns] / support[i]))
        for i in np.flatnonzero(support)
    )
    return Confusion(name, colour, accuracy, tuple(classes[i] for i in columns), rows)


def _samples(records: Sequence[Record]) -> list[tuple[str, str, str, int, int, str]]:
    """Target, split, label policy, faces kept and left out, and why. Corrupted targets that agree share a line."""
    targets: dict[tuple[str, str, int, int, str], list[str]] = defaultdict(list)
    for record in records:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(record.dropped.items()))
        left_out = sum(record.dropped.values())
        targets[record.target_split, record.policy, record.kept, left_out, reasons].append(record.target)
    return sorted((name, *counts) for counts, names in targets.items() for name in collapsed(names))


def _keys(record: Record) -> Iterable[tuple[str, str, str]]:
    """What has a key, by kind and name; runs are listed apart."""
    yield "encoder", record.encoder, record.encoder_key
    names = {"source": record.source, "target": record.target}
    yield from ((kind, names.get(kind, ""), key) for kind, key in record.keys.items() if kind != "run")
