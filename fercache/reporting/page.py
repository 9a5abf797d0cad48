"""A report: results.csv, summary.csv, and the page, one self-contained HTML file. Everything is drawn from records."""

import json
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fercache.errors import UsageError
from fercache.records import ALL, MAIN, METRICS, Record, frame
from fercache.reporting import figures, tables
from fercache.reporting.boards import METRIC_NAMES, MISSING, SELECTIONS, UNSEEN, Board, Cell, Row, boards


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


def write_report(records: Sequence[Record], folder: Path) -> Path:
    """Writes `results.csv`, `summary.csv` and `index.html` into `folder`; returns the page.

    Raises UsageError when there is nothing to report, or when two records fill the same cell.
    """
    if not records:
        raise UsageError("There are no records to compare. Type `fercache evaluate` to score the finished runs.")
    records = sorted(records, key=lambda record: (record.run, record.target_label, record.selection))
    _check_distinct(records)
    scores = frame(records)
    texts = {
        "results.csv": tables.csv_text(tables.results(scores)),
        "summary.csv": tables.csv_text(tables.summary(scores)),
        "index.html": render(records, boards(scores), folder.name),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
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


def render(records: Sequence[Record], found: Sequence[Board], name: str) -> str:
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
        samples=sorted({_sample(record) for record in records}),
        keys=sorted({key for record in records for key in _keys(record)}),
        runs=sorted({(record.run, record.keys.get("run", "")) for record in records}),
        versions=sorted({f"{name} {version}" for record in records for name, version in record.versions.items()}),
        commands=list(dict.fromkeys(_commands(records, name))),
        selections=SELECTIONS,
        metrics=METRIC_NAMES,
        missing=MISSING,
        unseen=UNSEEN,
    )


def _board_view(board: Board, records: Sequence[Record]) -> dict[str, Any]:
    of_cell: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for record in records:
        of_cell[record.method_key, record.selection, record.target_label].append(record)
    drawn = drawn_methods(board)
    panels = (_panel(board, label, drawn, of_cell) for label in board.columns)
    columns = (*board.columns, *((UNSEEN,) if board.unseen else ()))
    leader = _leader(board)
    return {
        "board": board,
        "policies": _policy_rows(board),
        "best": {(name, metric): board.best(board.headline, name, metric) for name in columns for metric in METRICS},
        "leader": leader,
        "leader_gap": _leader_gap(board, leader),
        "gap": _gap(board, drawn),
        "panels": [panel for panel in panels if panel.confusions],
    }


def drawn_methods(board: Board) -> list[Row]:
    """The headline rows that figures show: of each head and trunk the variant most accurate on its own source."""
    best: dict[tuple[str, str], Row] = {}
    for row in (row for row in board.headline if row.method.readout == MAIN):
        kind = (row.method.head, row.method.trunk)
        best[kind] = max(best.get(kind, row), row, key=lambda row: _source_accuracy(board, row) or 0.0)
    return list(best.values())


def _source_accuracy(board: Board, row: Row) -> float | None:
    return row.cells[board.own[0]]["accuracy"].mean if board.own else None


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


def _panel(board: Board, label: str, drawn: Sequence[Row], of_cell: dict[tuple[str, str, str], list[Record]]) -> Panel:
    shown = {
        str(row.method): (row, found)
        for row in drawn
        if (found := of_cell.get((row.method.key, row.selection, label), [])) and row.cells[label]["accuracy"].values
    }
    kind = "source" if label in board.own else UNSEEN
    if label in board.seen_by_encoder:
        kind = "source, seen by encoder" if label in board.own else "seen by encoder"
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


def _sample(record: Record) -> tuple[str, str, str, int, int, str]:
    """Target, split, label policy, faces kept and left out, and why."""
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(record.dropped.items()))
    left_out = sum(record.dropped.values())
    return record.target, record.target_split, record.policy, record.kept, left_out, reasons


def _keys(record: Record) -> Iterable[tuple[str, str, str]]:
    """What has a key, by kind and name; runs are listed apart."""
    yield "encoder", record.encoder, record.encoder_key
    names = {"source": record.source, "target": record.target}
    yield from ((kind, names.get(kind, ""), key) for kind, key in record.keys.items() if kind != "run")


def _commands(records: Sequence[Record], name: str) -> Iterable[str]:
    """What to type to get these records again, in order."""
    for record in records:
        for dataset in dict.fromkeys((record.source, record.target)):
            options = {"dataset": dataset, "encoder": record.encoder} | record.options.get("extract", {})
            yield _command("extract", options)
    seeds: dict[str, set[int]] = defaultdict(set)
    for record in records:
        seeds[record.method_key].add(record.seed)
    for key, record in {record.method_key: record for record in records}.items():
        options = {
            "encoder": record.encoder,
            "source": record.source,
            "head": record.head,
            "seeds": ",".join(map(str, sorted(seeds[key]))),
        }
        yield _command("train", options | record.options.get("train", {}), record.settings)
    for record in records:
        split = "" if record.target_split == ALL else f"@{record.target_split}"
        yield _command("evaluate", {"target": record.target + split})
    yield _command("compare", {"name": name})


def _command(stage: str, options: Mapping[str, str], settings: Mapping[str, Any] | None = None) -> str:
    words = ["fercache", stage, *(word for name, value in options.items() for word in (f"--{name}", value))]
    for name, value in (settings or {}).items():
        if value is not None:
            words += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return shlex.join(words)
