"""Boards and robustness tables as text: results.csv, summary.csv, robustness.csv, and the tables on the screen."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from fercache.records import ADJUSTED, MADE, METRICS, WITHOUT_DUPLICATES
from fercache.reporting.boards import Board, MethodTable, boards
from fercache.reporting.robustness import CLEAN, DROP, MEAN, Robustness, robustness
from fercache.reporting.rows import (
    BY_ENCODER,
    BY_HEAD,
    COMMON,
    METRIC_NAMES,
    MISSING,
    SELECTIONS,
    UNSEEN,
    Cell,
    Row,
    Scores,
    written,
)
from fercache.splits import POOL

if TYPE_CHECKING:
    import pandas as pd


def results(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Every row of the frame, sorted; scores are fractions. What runs were made with is left to their records."""
    order = ["encoder", "source", "head", "trunk", "readout", "method_key", "seed", "target_label", "selection"]
    made = [column for column in frame.columns if column.startswith(MADE)]
    return frame.sort_values(order, ignore_index=True).drop(columns=["target_label", *made])


def summary(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Methods x targets in percent: mean and deviation over seeds of both metrics, `source` apart, X where missing.

    The cell of a target that is the row's own source is empty: that score stands under `source`. `unseen` is the mean
    over the targets of which neither the head nor the encoder has seen anything; `seen` are the others but the source.
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
    """Every cell of the robustness tables in percent: a row per method, policy, target, corruption and severity.

    `severity` is "mean" for the mean over a corruption's severities. The corruption is "clean" for the target itself
    (severity 0), "mean" for the mean over corruptions, and "drop" for the way from clean to that mean in percent of
    clean. Empty where no corrupted target was scored.
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


def _named(table: MethodTable, row: Row) -> dict[str, object]:
    """What a row of any table differs in from the others."""
    return {
        "encoder": table.encoder,
        "source": table.source,
        "head": row.method.head,
        "trunk": row.method.trunk,
        "readout": row.method.readout,
        "changed_settings": row.method.changed_text,
        "common_settings": written(row.method.common),
        "method_key": row.method.key,
        "encoder_key": table.encoder_key,
        "selection": row.selection,
    }


def _metrics(scores: Scores | None, metrics: Sequence[str] = METRICS) -> dict[str, str]:
    """Mean and deviation of every metric; empty where a row has no such column."""
    found: dict[str, str] = {}
    for metric in metrics:
        mean, deviation = ("", "") if scores is None else _numbers(scores[metric])
        found |= {METRIC_NAMES[metric]: mean, f"{METRIC_NAMES[metric]} deviation": deviation}
    return found


def _numbers(cell: Cell) -> tuple[str, str]:
    if cell.mean is None:
        return MISSING, MISSING
    return f"{cell.mean:.2f}", "" if cell.deviation is None else f"{cell.deviation:.2f}"


def screen_table(frame: "pd.DataFrame") -> str:
    """Compact text tables: two lines per method, accuracy above mean class recall, a block per selection policy."""
    blocks = [_screen_board(board) for board in boards(frame)]
    blocks += [_screen_robustness(table) for table in robustness(frame)]
    return "\n\n".join("\n".join(lines) for lines in blocks)


def mix_notes(frame: "pd.DataFrame", class_mix: Mapping[str, float]) -> list[str]:
    """What the adjusted accuracy is of, and on which targets the mix is of fewer expressions: others have no faces."""
    shares = ", ".join(f"{name} {100 * share:.3g} %" for name, share in class_mix.items())
    notes = [f"Adjusted accuracy: what accuracy would be if expressions came in the mix {shares}."]
    targets: dict[str, list[str]] = {}
    for label, rows in frame.groupby("target_label"):
        absent = [name for name in class_mix if f"recall.{name}" not in rows or rows[f"recall.{name}"].isna().any()]
        targets.setdefault(", ".join(absent), []).append(str(label))
    notes += [
        f"No faces of {absent} on {', '.join(labels)}: there the mix is of the other expressions."
        for absent, labels in targets.items()
        if absent
    ]
    return [*notes, "With equal shares of a target's expressions it is mean class recall."]


def _screen_board(board: Board) -> Iterable[str]:
    yield f"Trained on {board.source}, encoder {board.encoder}. Percent, mean ± deviation over seeds."
    yield from _common(board)
    yield from _screen_rows(board, {column: _heading(column, board) for column in board.shown})
    yield "acc: accuracy. mcr: mean class recall." + (" adj: adjusted accuracy." if ADJUSTED in board.metrics else "")
    if board.seen_by_encoder:
        yield f"{BY_ENCODER}: the encoder itself was trained on this data set, so it is not {UNSEEN}."
    if board.seen_by_head:
        yield f"{BY_HEAD}: the head was trained on pictures of this data set, so it is not {UNSEEN}."
    yield from board.seen_notes
    if board.mean_note:
        yield f"mean: {board.mean_note}."
    if board.incomplete:
        yield f"{MISSING}: not scored for every seed under this policy (`fercache evaluate` scores what is missing)."
    yield from (f"not compared: {described}." for described in board.scored_on_fewer)


def _common(table: MethodTable) -> Iterable[str]:
    if table.common_text:
        yield f"{COMMON}: {table.common_text}."


def _screen_robustness(table: Robustness) -> Iterable[str]:
    headings = {CLEAN: (CLEAN, ""), MEAN: (MEAN, ""), DROP: (DROP, "%")}
    headings |= {kind: (kind, spans(severities)) for kind, severities in table.severities.items()}
    yield (
        f"Robustness on {table.target}{table.mark}, trained on {table.source}, encoder {table.encoder}. "
        "Percent, mean ± deviation over seeds."
    )
    yield from _common(table)
    yield from _screen_rows(table, {column: headings[column] for column in table.columns})
    yield "Below a corruption: the severities that its cell is the mean of. drop: from clean to mean, in % of clean."
    yield "acc: accuracy. mcr: mean class recall."
    if table.seen_by_encoder:
        yield f"{BY_ENCODER}: the encoder itself was trained on this data set."
    if table.seen_by_head:
        yield f"{BY_HEAD}: the head was trained on pictures of this data set."
    if table.incomplete:
        yield f"{MISSING}: not scored for every seed and severity (`fercache evaluate` scores what is missing)."


def spans(numbers: Sequence[int]) -> str:
    """Rising numbers as a reader writes them: 1–5, or 1,3,5 where there are gaps."""
    whole = len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1
    return f"{numbers[0]}–{numbers[-1]}" if whole else ",".join(map(str, numbers))


def _heading(column: str, board: Board) -> tuple[str, str]:
    """Two lines: the family above the domain."""
    if column == UNSEEN:
        return "mean", UNSEEN
    target = column.removesuffix(WITHOUT_DUPLICATES)
    if target != column:
        return target, "no duplicates" + board.mark(column)
    family, _, domain = column.rpartition(":")
    return "source" if column in board.own else family, domain + board.mark(column)


def _screen_rows(table: MethodTable, headings: Mapping[str, tuple[str, str]]) -> Iterable[str]:
    """Two lines of headings by column, and per policy a line that says it, and the methods."""
    top, below = zip(*headings.values(), strict=True)
    blocks = {selection: list(_block(table, selection, list(headings))) for selection in table.selections}
    lines = [["", "", *top], ["", "", *below], *(line for block in blocks.values() for line in block)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]

    def aligned(line: Sequence[str]) -> str:
        left = [text.ljust(width) for text, width in zip(line[:2], widths[:2], strict=True)]
        return "  ".join(left + [text.rjust(width) for text, width in zip(line[2:], widths[2:], strict=True)]).rstrip()

    yield from (aligned(line) for line in lines[:2])
    for selection, block in blocks.items():
        yield f"--- {selection}: {SELECTIONS[selection]}"
        yield from (aligned(line) for line in block)
        if same := table.unmoved(selection):
            yield f"as under {table.policy}: {', '.join(str(row.method) for row in same)}"


def _block(table: MethodTable, selection: str, columns: Sequence[str]) -> Iterable[list[str]]:
    same = table.unmoved(selection)
    for row in (row for row in table.rows if row.selection == selection and row not in same):
        lines = (("accuracy", "acc", row.method.head), ("uar", "mcr", f"  {row.method.details}"), (ADJUSTED, "adj", ""))
        for metric, short, label in (line for line in lines if line[0] in table.metrics):
            yield [label.rstrip(), short, *(str(row.scores(column)[metric]) for column in columns)]
