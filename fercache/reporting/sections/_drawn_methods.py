"""Which methods figures show, and how accurate a method is on its own source."""

from fercache.records import MAIN
from fercache.reporting.boards import Board, MethodTable
from fercache.reporting.table_rows import Row


def drawn_methods(table: MethodTable) -> list[Row]:
    """The headline rows that figures show: of each head and trunk the variant most accurate on its own source."""
    best: dict[tuple[str, str], Row] = {}
    for row in (row for row in table.headline if row.method.readout == MAIN):
        kind = (row.method.head, row.method.trunk)
        best[kind] = max(best.get(kind, row), row, key=lambda row: source_accuracy(table, row) or 0.0)
    return list(best.values())


def source_accuracy(table: MethodTable, row: Row) -> float | None:
    """In percent; None where the source was not scored."""
    scores = table.source_scores(row) if isinstance(table, Board) else None
    return scores["accuracy"].mean if scores else None
