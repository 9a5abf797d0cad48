"""Methods that learned from a few labels of their target, apart from all others, however many labels."""

from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from fercache.policies import Sees
from fercache.records import FewRecord, Record
from fercache.reporting.boards import Board
from fercache.reporting.report import Report
from fercache.reporting.sections.few_labels import content
from tests.fake_records import fake_record

NIGHT, SKETCH = "synthetic:night", "synthetic:sketch"


def learned(plain: Record, labels: int, target: str, **changes: object) -> Record:
    """The record of a run that learned from labels of a `target`."""
    here = plain.target == target
    few = {"few": FewRecord(target=target, labels=labels, here=here), "sees": f"{labels} labels" if here else "nothing"}
    method = {"method_key": f"{plain.method_key}+{labels}", "run": f"{plain.run}+{labels}"}
    return Record.model_validate(plain.model_dump(by_alias=True) | method | few | changes)


def records() -> Iterator[Record]:
    """Methods without labels, with 7 and with 56 of the night, on two targets."""
    for target in (NIGHT, SKETCH):
        for seed in range(2):
            plain = fake_record("linear-probe", seed, target)
            yield plain
            yield from (learned(plain, labels, NIGHT) for labels in (7, 56))


@pytest.fixture(scope="module")
def report() -> Report:
    return Report("r", list(records()))


def test_one_table_for_any_number_of_labels(report: Report) -> None:
    found = content(report)
    assert found is not None
    (board,) = found.context["boards"]
    assert isinstance(board, Board)
    assert board.columns == (NIGHT,)
    assert [row.method.details for row in board.headline] == [f"few={labels} of {NIGHT}" for labels in (56, 7)]
    assert all(len(row.cells[NIGHT]["accuracy"].values) == 2 for row in board.headline)
    others = {board.sees: board for board in report.adapted_boards}
    assert others[Sees.OTHER_LABELS].columns == (SKETCH,)
    assert (board.kind(NIGHT), others[Sees.OTHER_LABELS].kind(SKETCH)) == ("a few labels seen", "unseen")


def test_methods_without_labels_keep_their_mean(report: Report) -> None:
    (board,) = report.boards
    assert board.columns == board.counted == (NIGHT, SKETCH) and len(board.headline) == 1
    assert content(Report("r", [record for record in records() if record.few is None])) is None


def test_a_record_cannot_hide_its_labels() -> None:
    plain = fake_record("linear-probe", 0, NIGHT)
    assert learned(plain, 7, NIGHT).method_sees == Sees.LABELS
    for sees in ("nothing", "unlabelled target", "56 labels"):
        with pytest.raises(ValidationError, match="learned from 7 labels"):
            learned(plain, 7, NIGHT, sees=sees)
    oracle = learned(fake_record("linear-probe", 0, NIGHT, "oracle"), 7, NIGHT, sees="oracle")
    assert oracle.method_sees == Sees.LABELS
