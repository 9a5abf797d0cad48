"""A few labels: methods that learned from a few labelled faces of a target, on its other faces."""

from fercache.policies import Sees
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside


def content(report: Report) -> Content | None:
    """Shown if any run learned from labels of a target that it was scored on."""
    boards = [board for board in report.adapted_boards if board.sees == Sees.LABELS]
    methods = len({row.method.key for board in boards for row in board.headline})
    gist = f"{methods} {'method' if methods == 1 else 'methods'}, in no other table"
    return Content({"boards": boards}, gist=gist) if boards else None


plugin = Section(title="A few labels", template=beside(__file__), content=content, folded=True)
