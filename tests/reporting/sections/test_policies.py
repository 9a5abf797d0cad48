from collections.abc import Sequence

import pytest

from fercache.records import Record, frame
from fercache.reporting.boards import Board, boards
from fercache.reporting.sections.policies import gains, policy_rows
from fercache.reporting.table_rows import UNSEEN
from tests.fake_records import demo_records, fake_record


def board_of(records: Sequence[Record]) -> Board:
    (board,) = boards(frame(records))
    return board


@pytest.fixture(scope="module")
def board() -> Board:
    return board_of(list(demo_records()))


def test_the_oracle_gap_is_what_the_oracle_has_more_of_a_trained_head(board: Board) -> None:
    found = gains(board)
    assert [gain.method.head for gain in found] == ["sigmoid-mask", "text-similarity"]  # the others choose nothing
    assert all(gain.method.readout == "main" for gain in found)
    gain = found[1]
    rows = {row.selection: row for row in board.rows if row.method == gain.method}
    assert list(gain.cells) == list(board.shown) and UNSEEN in gain.cells
    for column, cell in gain.cells.items():
        bound, chosen = (rows[name].scores(column)["accuracy"].values for name in ("oracle", "source-val"))
        assert cell.values == pytest.approx([a - b for a, b in zip(bound, chosen, strict=True)])


def test_without_the_oracle_or_what_it_is_compared_to_there_is_no_gap() -> None:
    records = list(demo_records(seeds=1))
    assert gains(board_of([record for record in records if record.selection != "oracle"])) == []
    assert gains(board_of([fake_record("text-similarity", selection="oracle")])) == []


def test_policies_that_agree_share_a_line(board: Board) -> None:
    main = [each for each in policy_rows(board) if each[0].method.readout == "main"]
    printed = [(row.method.head, policy, span) for row, policy, span in main]
    assert printed[:2] == [("zero-shot", "all alike", 1), ("linear-probe", "all alike", 1)]
    assert [(policy, span) for head, policy, span in printed if head == "text-similarity"] == [
        ("source-val", 3),
        ("last", 0),
        ("oracle", 0),
    ]
