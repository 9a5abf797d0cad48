"""Selection policies: every method under each of them, and what the oracle would have gained."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from fercache.records import MAIN
from fercache.reporting.boards import Board
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside
from fercache.reporting.table_rows import UNSEEN, Cell, Method, Row


@dataclass(frozen=True)
class Gain:
    """What choosing the epoch on the target itself would have gained over the headline policy, in points."""

    method: Method
    cells: dict[str, Cell]


def content(report: Report) -> Content:
    """Always shown."""
    views = [(board, policy_rows(board), gains(board)) for board in report.boards]
    return Content({"views": views}, gist=_gist(views))


def _gist(views: Sequence[tuple[Board, Sequence[tuple[Row, str, int]], Sequence[Gain]]]) -> str:
    found = [gain.cells[UNSEEN].mean for _, _, gained in views for gain in gained if UNSEEN in gain.cells]
    most = max((mean for mean in found if mean is not None), default=None)
    if most is not None:
        return f"choosing on the target itself would add up to {most:.1f} points of accuracy"
    return "all alike" if all(policy == "all alike" for _, rows, _ in views for _, policy, _ in rows) else ""


def policy_rows(board: Board) -> list[tuple[Row, str, int]]:
    """All rows by method, with the policy to print and the number of rows that the method's heading spans (0: none)."""
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


def gains(board: Board) -> list[Gain]:
    """The gains of methods with something to select; none if the oracle or every other policy is missing.

    Main readout only, because the oracle selects by it.
    """
    if "oracle" not in board.selections[1:]:
        return []
    first = {(row.method.key, row.method.readout): row for row in board.headline}
    unmoved = board.unmoved("oracle")
    found = []
    for row in board.rows:
        if row.selection != "oracle" or row.method.readout != MAIN or row in unmoved:
            continue
        chosen = first[row.method.key, row.method.readout]
        cells = {name: _gain(row.scores(name)["accuracy"], chosen.scores(name)["accuracy"]) for name in board.shown}
        if any(cell.values for cell in cells.values()):
            found.append(Gain(row.method, cells))
    return found


def _gain(oracle: Cell, chosen: Cell) -> Cell:
    """Seed by seed; missing if either cell is."""
    if not (oracle.values and chosen.values):
        return Cell()
    return Cell(tuple(bound - score for bound, score in zip(oracle.values, chosen.values, strict=True)))


plugin = Section(title="Selection policies", template=beside(__file__), content=content, folded=True)
