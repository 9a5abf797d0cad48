import re
from typing import Any

import numpy as np
import pytest

from fercache.csv_cells import csv_text
from fercache.records import Record, frame
from fercache.reporting.export.csv_tables import robustness_rows
from fercache.reporting.robustness_tables import Robustness, robustness, spans
from fercache.reporting.screen import screen_table
from fercache.reporting.table_rows import Row
from tests.fake_records import HARM, corrupted_records, demo_records, fake_record, scores_of

CORRECT = {"": (10, 6), "+blur:1": (8, 6), "+blur:3": (6, 4), "+noise:2": (5, 5)}
"""Of ten happy and ten angry faces, those that are read right."""


def fixed(head: str, seed: int, version: str, clean: str = "ferplus", **changes: Any) -> Record:
    """A record of twenty faces; seed 1 reads two happy faces fewer than seed 0."""
    happy, angry = CORRECT[version]
    happy -= 2 * seed
    scores = scores_of(np.array([[happy, 10 - happy], [10 - angry, angry]]), ("happiness", "anger"))
    values = {
        "method_key": head,
        "encoder_key": "e",
        "settings": {},
        "classes": ("happiness", "anger"),
        "scores": {"main": scores},
        "kept": 20,
        "intervals": {},
    }
    return fake_record(head, seed, clean + version, **(values | changes))


GRID = [fixed(head, seed, version) for head in ("zero-shot", "linear-probe") for seed in (0, 1) for version in CORRECT]


def table_of(records: list[Record]) -> Robustness:
    (table,) = robustness(frame(records))
    return table


def row_of(table: Robustness, head: str = "linear-probe", selection: str = "source-val") -> Row:
    (row,) = [row for row in table.rows if (row.method.head, row.selection) == (head, selection)]
    return row


def accuracies(row: Row, table: Robustness) -> dict[str, tuple[float, ...]]:
    return {column: row.cells[column]["accuracy"].values for column in table.columns}


def test_every_cell_is_what_a_pencil_says() -> None:
    table = table_of(GRID)
    assert table.severities == {"blur": (1, 3), "noise": (2,)}
    found = accuracies(row_of(table), table)
    assert list(found) == ["clean", "blur", "noise", "mean", "drop"]
    assert found["clean"] == pytest.approx((80, 70))
    assert found["blur"] == pytest.approx((60, 50))  # (70 + 50) / 2, (60 + 40) / 2
    assert found["noise"] == pytest.approx((50, 40))
    assert found["mean"] == pytest.approx((55, 45))  # corruptions count alike, however many severities they have
    assert found["drop"] == pytest.approx((100 * 25 / 80, 100 * 25 / 70))
    drop = row_of(table).cells["drop"]["accuracy"]
    assert str(drop) == "33.5 ±3.2"


def test_both_metrics_have_their_own_cells() -> None:
    lopsided = [
        fixed("linear-probe", 0, version, scores={"main": scores_of(np.array(counts), ("happiness", "anger"))})
        for version, counts in {"": [[16, 0], [2, 2]], "+blur:1": [[16, 0], [4, 0]]}.items()
    ]
    cells = row_of(table_of(lopsided)).cells
    assert (str(cells["drop"]["accuracy"]), str(cells["drop"]["mean_class_recall"])) == ("11.1", "33.3")


def test_a_missing_seed_or_severity_makes_an_x_and_voids_mean_and_drop() -> None:
    records = [r for r in GRID if (r.head, r.seed, r.target) != ("linear-probe", 1, "ferplus+blur:3")]
    table = table_of(records)
    cells = {column: str(row_of(table).cells[column]["accuracy"]) for column in ("blur:1", *table.columns)}
    assert [name for name, text in cells.items() if text == "X"] == ["blur", "mean", "drop"]
    assert "X" not in {str(row_of(table, "zero-shot").cells[column]["mean_class_recall"]) for column in table.columns}
    assert table.incomplete and not table_of(GRID).incomplete


def test_corruptions_and_severities_of_another_board_are_not_asked_for_here() -> None:
    other = fixed("zero-shot", 0, "+blur:1", source="synthetic:night", method_key="other")
    tables = robustness(frame([*GRID, other]))
    assert [table.source for table in tables] == ["synthetic:night", "synthetic:studio"]
    assert tables[0].severities == {"blur": (1,)}
    cells = tables[0].rows[0].cells
    assert [str(cells[name]["accuracy"]) for name in ("blur:1", "blur", "mean")] == ["70.0", "70.0", "70.0"]
    assert not tables[1].incomplete


def test_a_clean_target_that_was_not_scored_is_x_and_so_is_the_drop() -> None:
    table = table_of([record for record in GRID if record.target != "ferplus"])
    found = accuracies(row_of(table), table)
    assert (found["clean"], found["drop"]) == ((), ())
    assert found["mean"] == pytest.approx((55, 45))


def test_nothing_right_on_the_clean_set_has_no_drop() -> None:
    nothing = scores_of(np.array([[0, 10], [10, 0]]), ("happiness", "anger"))
    records = [fixed("linear-probe", 0, "", scores={"main": nothing}), fixed("linear-probe", 0, "+blur:1")]
    assert str(row_of(table_of(records)).cells["drop"]["accuracy"]) == "X"


def test_each_clean_target_split_and_label_policy_has_its_own_table() -> None:
    records = [
        *GRID,
        fixed("zero-shot", 0, "", target_split="validation"),
        fixed("zero-shot", 0, "+blur:1", target_split="validation"),
        fixed("zero-shot", 0, "+blur:1", policy="agreed"),
        fixed("zero-shot", 0, "+blur:1", "synthetic:webcam"),
    ]
    tables = {table.target: table for table in robustness(frame(records))}
    assert list(tables) == ["ferplus", "ferplus (agreed)", "ferplus@validation", "synthetic:webcam"]
    assert [table.seen_by_encoder for table in tables.values()] == [True, True, True, False]
    assert tables["ferplus@validation"].severities == {"blur": (1,)}


def test_policies_follow_each_other_as_in_boards() -> None:
    table = table_of([*corrupted_records(corruption="blur:1"), *demo_records()])
    assert table.selections == ["source-val", "last", "oracle"]
    assert {row.method.head for row in table.unmoved("last")} == {"zero-shot", "linear-probe"}


def test_all_thirty_stand_in_the_order_of_corruptions() -> None:
    table = table_of(list(corrupted_records(seeds=1)))
    assert table.columns == ("clean", "blur", "jpeg", "dark", "noise", "occlusion", "lowres", "mean", "drop")
    assert set(table.severities.values()) == {(1, 2, 3, 4, 5)}
    assert [severity for severity, _ in table.curve(table.headline[0], "dark")] == [0, 1, 2, 3, 4, 5]


def test_without_corrupted_targets_there_is_no_table() -> None:
    assert robustness(frame(demo_records())) == []
    assert robustness_rows(frame(demo_records())).empty


CSV = """\
encoder,source,head,trunk,readout,changed_settings,common_settings,method_key,sees,encoder_key,selection,\
target,corruption,severity,accuracy,accuracy deviation,mean class recall,mean class recall deviation,seeds
bundled,synthetic:studio,zero-shot,none,main,,,zero-shot,nothing,e,source-val,ferplus,clean,0,75.00,7.07,75.00,7.07,2
bundled,synthetic:studio,zero-shot,none,main,,,zero-shot,nothing,e,source-val,ferplus,blur,1,65.00,7.07,65.00,7.07,2
bundled,synthetic:studio,zero-shot,none,main,,,zero-shot,nothing,e,source-val,ferplus,blur,3,45.00,7.07,45.00,7.07,2
bundled,synthetic:studio,zero-shot,none,main,,,zero-shot,nothing,e,source-val,ferplus,blur,mean,55.00,7.07,55.00,7.07,2
bundled,synthetic:studio,zero-shot,none,main,,,zero-shot,nothing,e,source-val,ferplus,noise,2,45.00,7.07,45.00,7.07,2
bundled,synthetic:studio,zero-shot,none,main,,,zero-shot,nothing,e,source-val,ferplus,noise,mean,45.00,7.07,45.00,7.07,2
bundled,synthetic:studio,zero-shot,none,main,,,zero-shot,nothing,e,source-val,ferplus,mean,mean,50.00,7.07,50.00,7.07,2
bundled,synthetic:studio,zero-shot,none,main,,,zero-shot,nothing,e,source-val,ferplus,drop,mean,33.48,3.16,33.48,3.16,2
"""


def test_golden_csv() -> None:
    assert csv_text(robustness_rows(frame([record for record in GRID if record.head == "zero-shot"]))) == CSV


def test_missing_cells_are_x_in_the_csv() -> None:
    records = [r for r in GRID if (r.head, r.seed, r.target) != ("linear-probe", 1, "ferplus+blur:3")]
    rows = robustness_rows(frame(records))
    found = rows[rows["accuracy"] == "X"]
    assert list(zip(found["corruption"], found["severity"], strict=True)) == [
        ("blur", "3"),
        ("blur", "mean"),
        ("mean", "mean"),
        ("drop", "mean"),
    ]
    assert set(found["head"]) == {"linear-probe"} and set(found["mean class recall deviation"]) == {"X"}


def test_the_screen_shows_robustness_below_the_boards() -> None:
    text = screen_table(frame([*demo_records(), *GRID]))
    above, below = text.split("\n\nRobustness on ferplus†, trained on synthetic:studio")
    assert above.startswith("Trained on") and "blur" not in above
    lines = below.splitlines()
    assert lines[2].split() == ["accuracy,", "%", "clean", "blur", "noise", "mean", "drop"]
    assert lines[3].split() == ["1,3", "2", "%"]


def test_the_screen_table_fits_and_marks_no_drop_because_low_scores_have_little_to_lose() -> None:
    lines = screen_table(frame(corrupted_records(seeds=2))).splitlines()
    heads = [line for line in lines if line.startswith("accuracy, %")]
    assert heads[0].split()[2:] + heads[1].split()[2:] == ["clean", *HARM, "mean", "drop"]
    marked = [line for line in lines if "*" in line]
    assert marked and max(map(len, lines)) <= 80
    for number, line in enumerate(lines):
        if line.split()[-1:] == ["drop"]:
            rows = lines[number + 2 : lines.index("", number)]
            assert not any(re.split(r"\s{2,}", row)[-1].startswith("*") for row in rows)
    assert "as under source-val: zero-shot, linear-probe" in lines


def test_corrupted_targets_alone_make_a_screen_table() -> None:
    text = screen_table(frame(corrupted_records(seeds=1, corruption="blur")))
    assert text.startswith("Robustness on ferplus†") and "X: not scored for every seed and severity" in text


@pytest.mark.parametrize(("numbers", "text"), [((3,), "3"), ((1, 2), "1,2"), ((1, 3, 5), "1,3,5"), ((2, 3, 4), "2–4")])
def test_spans_are_written_as_readers_do(numbers: tuple[int, ...], text: str) -> None:
    assert spans(numbers) == text
