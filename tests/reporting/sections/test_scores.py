import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from fercache.records import Record, frame
from fercache.records.relations import Seen
from fercache.reporting.boards import boards
from fercache.reporting.page import write_report
from fercache.reporting.sections._leader import leader
from fercache.reporting.sections.scores import BoardScores, board_scores, distances
from fercache.reporting.sections.summary import verdict
from fercache.scoring.drift import Drift
from tests.fake_records import demo_records, fake_record


def view_of(records: Sequence[Record]) -> BoardScores:
    (board,) = boards(frame(records))
    return board_scores(board, records)


@pytest.fixture(scope="module")
def view() -> BoardScores:
    return view_of(list(demo_records()))


def test_every_policy_has_its_best_cells_but_the_oracle(view: BoardScores) -> None:
    assert list(view.best) == ["source-val", "last", "oracle"] and view.best["oracle"] == {}
    for selection in ("source-val", "last"):
        rows = [row for row in view.board.rows if row.selection == selection]
        means = [row.cells["synthetic:night"]["accuracy"].mean or 0 for row in rows]
        assert view.best[selection]["synthetic:night", "accuracy"] == round(max(means), 1)


def test_the_leader_of_the_page_is_the_one_whose_errors_are_shown() -> None:
    """Where the best of all was scored on fewer faces, too."""
    records = [fewer_faces(record) if record.head == "text-similarity" else record for record in demo_records()]
    (board,) = boards(frame(records))
    shown, leading = verdict(board, None).best, leader(board, records)
    assert shown and leading and shown.row.method == leading.method and shown.row.method.head == "sigmoid-mask"


def fewer_faces(record: Record) -> Record:
    fewer = {name: scores.model_copy(update={"n": scores.n - 90}) for name, scores in record.scores.items()}
    return record.model_copy(update={"scores": fewer})


FAR = {"synthetic:studio": 1.0, "synthetic:webcam": 2.0, "synthetic:sketch": 2.5, "synthetic:night": 4.0}


def drifted(record: Record) -> Record:
    far = FAR[record.target]
    found = Drift(800, 10.0 / far, 10.0, far, 0.25, far / 2 - 1, -0.04)
    return record.model_copy(update={"drift": found, "not_compared": ()})


RECORDS = [drifted(record) for record in demo_records()]


def test_a_line_for_each_target_in_the_boards_order_with_the_leaders_accuracy() -> None:
    (board,) = boards(frame(RECORDS))
    found = distances(board, RECORDS)
    assert tuple(each.label for each in found) == board.columns
    assert {each.label: each.drift.frechet for each in found} == FAR
    leading = board.leading(board.headline)
    assert leading and [each.accuracy for each in found] == [leading.cells[name]["accuracy"] for name in board.columns]


def test_scores_without_duplicates_and_records_that_do_not_say_have_none() -> None:
    unique = drifted(fake_record(target="synthetic:night", without_duplicates=True))
    old = fake_record(target="synthetic:sketch")
    records = [drifted(fake_record()), unique, old]
    (board,) = boards(frame(records))
    assert [each.label for each in distances(board, records)] == ["synthetic:webcam"]


def test_the_page_has_the_table_and_results_the_columns(tmp_path: Path) -> None:
    page = write_report(RECORDS, tmp_path).read_text(encoding="utf-8")
    table = page[page.index("How far the targets are from the source") :].partition("</table>")[0]
    cells = [re.sub("<[^>]*>", "", cell) for cell in re.findall("<td>.*?</td>", table)]
    assert cells[:3] == ["1.00", "1 0.25", "−0.50 −0.04"]
    assert table.count("<tr>") == 1 + len(FAR)
    results = frame(RECORDS)
    assert set(results["frechet"]) == set(FAR.values()) and set(results["frechet_floor"]) == {0.25}
    assert set(results["norm_ratio"]) == {1.0, 0.5, 0.4, 0.25} and set(results["a_distance_floor"]) == {-0.04}
    assert "Not searched for" not in page
    without = write_report(list(demo_records()), tmp_path).read_text(encoding="utf-8")
    assert "How far the targets are" not in without
    assert "Not searched for images identical to those of the targets: synthetic:studio. These" in without


def test_the_page_says_why_a_target_is_not_unseen(tmp_path: Path) -> None:
    seen = (Seen(by="source", through="synthetic:studio", how="identical images", images=12),)
    records = [each.model_copy(update={"seen": seen}) if each.target == "synthetic:night" else each for each in RECORDS]
    page = write_report(records, tmp_path).read_text(encoding="utf-8")
    note = re.search("<li>(§ .*)</li>", page)
    assert note and note[1] == (
        f"§ synthetic:night: 12 of its {records[0].kept} images are in synthetic:studio, which the head was trained on."
    )
    assert '<span title="seen by head">§</span><small>seen by head</small>' in page
    assert "§ Seen by head" in page and "§ Seen by head" not in write_report(RECORDS, tmp_path).read_text("utf-8")
