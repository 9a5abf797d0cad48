from collections.abc import Sequence

import pytest

from fercache.records import Record, frame
from fercache.reporting.boards import boards
from fercache.reporting.errors import leader
from fercache.reporting.robustness import robustness
from fercache.reporting.rows import UNSEEN
from fercache.reporting.sections import BoardView, board_view, robustness_view
from tests.fake_records import corrupted_records, demo_records, fake_record


def view_of(records: Sequence[Record]) -> BoardView:
    (board,) = boards(frame(records))
    return board_view(board, records)


@pytest.fixture(scope="module")
def view() -> BoardView:
    return view_of(list(demo_records()))


def test_the_leader_is_the_best_on_unseen_targets_and_its_gap_is_told(view: BoardView) -> None:
    assert view.leader and view.leader.method.head == "text-similarity"
    source, unseen = view.board.source_scores(view.leader), view.leader.unseen_mean["accuracy"].mean
    assert source and source["accuracy"].mean is not None and unseen is not None and view.leader_gap is not None
    assert view.leader_gap == pytest.approx(unseen - source["accuracy"].mean)


def test_the_oracle_gap_is_what_the_oracle_has_more_of_a_trained_head(view: BoardView) -> None:
    assert [gain.method.head for gain in view.gains] == ["sigmoid-mask", "text-similarity"]  # the others choose nothing
    assert all(gain.method.readout == "main" for gain in view.gains)
    gain = view.gains[1]
    rows = {row.selection: row for row in view.board.rows if row.method == gain.method}
    assert list(gain.cells) == list(view.board.shown) and UNSEEN in gain.cells
    for column, cell in gain.cells.items():
        bound, chosen = (rows[name].scores(column)["accuracy"].values for name in ("oracle", "source-val"))
        assert cell.values == pytest.approx([a - b for a, b in zip(bound, chosen, strict=True)])


def test_without_the_oracle_or_what_it_is_compared_to_there_is_no_gap() -> None:
    records = list(demo_records(seeds=1))
    assert view_of([record for record in records if record.selection != "oracle"]).gains == []
    assert view_of([fake_record("text-similarity", selection="oracle")]).gains == []


def test_every_policy_has_its_best_cells_but_the_oracle(view: BoardView) -> None:
    assert list(view.best) == ["source-val", "last", "oracle"] and view.best["oracle"] == {}
    for selection in ("source-val", "last"):
        rows = [row for row in view.board.rows if row.selection == selection]
        means = [row.cells["synthetic:night"]["accuracy"].mean or 0 for row in rows]
        assert view.best[selection]["synthetic:night", "accuracy"] == round(max(means), 1)


def test_policies_that_agree_share_a_line(view: BoardView) -> None:
    printed = [(row.method.head, policy, span) for row, policy, span in view.policies if row.method.readout == "main"]
    assert printed[:2] == [("zero-shot", "all alike", 1), ("linear-probe", "all alike", 1)]
    assert [(policy, span) for head, policy, span in printed if head == "text-similarity"] == [
        ("source-val", 3),
        ("last", 0),
        ("oracle", 0),
    ]


def test_errors_go_to_the_panel_of_their_target() -> None:
    records = list(demo_records(seeds=1))
    (board,) = boards(frame(records))
    panels = board_view(board, records, {"synthetic:night": ["an error"]}).panels
    assert {panel.label: list(panel.errors) for panel in panels if panel.errors} == {"synthetic:night": ["an error"]}


def test_a_robustness_table_without_a_board_is_drawn_all_the_same() -> None:
    (table,) = robustness(frame(list(corrupted_records(seeds=1, corruption="blur"))))
    figure = robustness_view(table, []).figure
    assert figure and "blur" in figure.description


def test_the_leader_of_the_page_is_the_one_whose_errors_are_shown() -> None:
    """Where the best of all was scored on fewer faces, too."""
    records = [fewer_faces(record) if record.head == "text-similarity" else record for record in demo_records()]
    (board,) = boards(frame(records))
    shown, leading = board_view(board, records).leader, leader(board, records)
    assert shown and leading and shown.method == leading.method and shown.method.head == "sigmoid-mask"


def fewer_faces(record: Record) -> Record:
    fewer = {name: scores.model_copy(update={"n": scores.n - 90}) for name, scores in record.scores.items()}
    return record.model_copy(update={"scores": fewer})
