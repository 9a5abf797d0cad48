"""Boards and robustness tables as text: results.csv, summary.csv, robustness.csv, and the tables on the screen."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fercache.records import MADE, METRICS
from fercache.reporting.boards import Board, MethodTable, boards
from fercache.reporting.robustness_tables import CLEAN, DROP, MEAN, Robustness, robustness
from fercache.reporting.table_rows import METRIC_NAMES, MISSING, UNSEEN, Cell, Method, Row, Scores, written
from fercache.splits import POOL

if TYPE_CHECKING:
    import pandas as pd

METHOD_COLUMNS = [
    *("encoder", "source", "head", "trunk", "readout"),
    *("changed_settings", "common_settings", "method_key", "sees"),
]
"""The first columns of all CSV tables of methods."""


def results(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Every row of the frame, sorted; scores are fractions. Leaves out keys of data and code, which records have."""
    order = ["encoder", "source", "head", "trunk", "readout", "method_key", "seed", "target_label", "selection"]
    made = [column for column in frame.columns if column.startswith(MADE)]
    return frame.sort_values(order, ignore_index=True).drop(columns=["target_label", "method_sees", *made])


def summary(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Methods x targets in percent: mean and deviation over seeds of both metrics, X where missing.

    The column `source` has the score on the row's own source, whose own column is empty in that row. `unseen` is the
    mean over the targets that neither the head nor the encoder has seen; `seen` lists the others except the source.
    """
    import pandas as pd

    found = boards(frame)
    labels = sorted({label for board in found for label in board.columns})
    rows = [_summary_row(board, row, labels) for board in found for row in board.rows]
    table = pd.DataFrame(rows, dtype=object)
    each = 2 * len(found[0].metrics) if found else 0
    scores: Sequence[str] = list(table.columns)[len(rows[0]) - each * (len(labels) + 2) :] if rows else []
    return table.drop(columns=[column for column in scores if (table[column] == "").all()])


def _summary_row(board: Board, row: Row, labels: Sequence[str]) -> dict[str, object]:
    entry = _named(board, row) | {"seeds": len(row.seeds), "seen_by_encoder": ", ".join(sorted(board.seen_by_encoder))}
    entry |= {"seen": ", ".join(board.seen), "mean_over": ", ".join(board.counted)}
    own = () if POOL in board.source else board.source_labels
    columns = [("source", board.source_scores(row))]
    columns += [(label, None if label in own else row.cells.get(label)) for label in labels]
    columns += [(UNSEEN, row.unseen_mean if board.unseen else None)]
    for name, scores in columns:
        entry |= {f"{name} {heading}": number for heading, number in _metrics(scores, board.metrics).items()}
    return entry


def robustness_rows(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Every cell of the robustness tables in percent: one row per method, policy, target, corruption and severity.

    `severity` is "mean" for the mean over a corruption's severities. The corruption is "clean" for the target itself
    (severity 0), "mean" for the mean over corruptions, and "drop" for the loss from clean to that mean in percent of
    clean. Empty if no corrupted target was scored.
    """
    import pandas as pd

    rows = [
        _named(table, row)
        | {"target": table.target, "corruption": corruption, "severity": severity}
        | _metrics(scores)
        | {"seeds": len(row.seeds)}
        for table in robustness(frame)
        for row in table.rows
        for corruption, severity, scores in _robustness_cells(table, row)
    ]
    return pd.DataFrame(rows, dtype=object)


def _robustness_cells(table: Robustness, row: Row) -> Iterable[tuple[str, str, Scores]]:
    yield CLEAN, "0", row.cells[CLEAN]
    for kind, severities in table.severities.items():
        for severity in map(str, severities):
            yield kind, severity, row.cells[f"{kind}:{severity}"]
        yield kind, MEAN, row.cells[kind]
    yield MEAN, MEAN, row.cells[MEAN]
    yield DROP, MEAN, row.cells[DROP]


def method_cells(table: MethodTable, method: Method) -> tuple[str, ...]:
    """The values of `METHOD_COLUMNS`."""
    kind = (table.encoder, table.source, method.head, method.trunk, method.readout)
    return (*kind, method.changed_text, written(method.common), method.key, table.sees)


def _named(table: MethodTable, row: Row) -> dict[str, object]:
    """The columns that identify a row of any table."""
    cells: dict[str, object] = dict(zip(METHOD_COLUMNS, method_cells(table, row.method), strict=True))
    return cells | {"encoder_key": table.encoder_key, "selection": row.selection}


def _metrics(scores: Scores | None, metrics: Sequence[str] = METRICS) -> dict[str, str]:
    """Mean and deviation of every metric; empty if a row has no such column."""
    found: dict[str, str] = {}
    for metric in metrics:
        mean, deviation = ("", "") if scores is None else _numbers(scores[metric])
        found |= {METRIC_NAMES[metric]: mean, f"{METRIC_NAMES[metric]} deviation": deviation}
    return found


def _numbers(cell: Cell) -> tuple[str, str]:
    if cell.mean is None:
        return MISSING, MISSING
    return f"{cell.mean:.2f}", "" if cell.deviation is None else f"{cell.deviation:.2f}"
