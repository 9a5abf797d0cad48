import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest

from fercache.records import INTERVALS, CalibrationRecord, GroupRecord, Record, frame
from fercache.reporting.boards import boards
from fercache.reporting.drawing import WIDTH
from fercache.reporting.sections._leader import shown_rows
from fercache.reporting.sections.targets import FEWEST, SURE, Group, Limits, Panel, hardest, panel, worst
from fercache.reporting.table_rows import Cell
from fercache.scoring.intervals import wilson
from tests.fake_records import demo_records, fake_record, scores_of
from tests.reporting.reported import measured
from tests.reporting.test_figures import whiskers


def panel_of(records: Sequence[Record], label: str = "synthetic:webcam") -> Panel:
    of_cell: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for record in records:
        of_cell[record.method_key, record.selection, record.target_label].append(record)
    (board,) = boards(frame(records))
    found = panel(board, label, shown_rows(board, records), of_cell=of_cell)
    assert found
    return found


def test_a_panel_has_a_figure_for_everything_that_was_measured() -> None:
    assert list(panel_of([fake_record()]).drawings) == ["recall"]
    assert list(panel_of([measured(fake_record())]).drawings) == ["recall", "reliability", "abstention"]


def test_a_target_that_nothing_was_scored_on_has_no_panel() -> None:
    (board,) = boards(frame([fake_record()]))
    assert panel(board, "synthetic:webcam", board.drawn, of_cell={}) is None


def test_methods_without_measures_are_left_out_of_the_figures_of_those_that_have_them() -> None:
    drawings = panel_of([fake_record("zero-shot"), measured(fake_record("linear-probe"))]).drawings
    assert "zero-shot" in drawings["recall"].description
    assert "zero-shot" not in drawings["reliability"].description + drawings["abstention"].description


def test_the_errors_of_calibration_and_the_areas_are_told_as_means_over_seeds() -> None:
    both = (measured(fake_record(seed=seed)) for seed in (0, 1))
    records = [
        record.model_copy(update={"calibration": record.calibration.model_copy(update={"ece": ece})})  # type: ignore[union-attr]
        for record, ece in zip(both, (0.1, 0.2), strict=True)
    ]
    drawings = panel_of(records).drawings
    assert "linear-probe, ECE 0.150 ±0.071" in drawings["reliability"].description
    assert re.search(r"linear-probe, mean \d+\.\d ±\d\.\d %", drawings["abstention"].description)


def test_bins_of_few_faces_are_not_drawn() -> None:
    record = fake_record()
    faces = (FEWEST, FEWEST - 1, 0)
    calibration = CalibrationRecord(ece=0, faces=faces, confidence=(0.2, 0.5, None), accuracy=(0.2, 0.5, None))
    twice = [
        fake_record(seed=seed).model_copy(update={"calibration": calibration.model_copy(update={"faces": faces})})
        for seed in (0, 1)
    ]
    one = record.model_copy(update={"calibration": calibration})

    def points(records: list[Record]) -> int:
        (line,) = re.findall(r'<path d="([^"]*)"[^>]*style="fill: none; stroke: #3b74b9', drawing_of(records))
        return len(re.findall(r"[ML] ", line))

    def drawing_of(records: list[Record]) -> str:
        return panel_of(records).drawings["reliability"].svg

    assert (points([one]), points(twice)) == (1, 2)  # of all seeds together


def test_how_sure_scores_are_is_the_mean_of_the_seeds_own_intervals() -> None:
    calibration = {"ece": 0.1, "interval": (0.05, 0.2), "faces": [700], "confidence": [0.9], "accuracy": [0.8]}
    records = [fake_record(seed=seed, calibration=calibration) for seed in (0, 1)]
    (sure,) = panel_of(records).sure
    for name in INTERVALS:
        limits = [100 * np.mean([record.intervals[name][end] for record in records]) for end in (0, 1)]
        assert sure.limits[SURE[name]].interval == "–".join(f"{limit:.1f}" for limit in limits)
    assert sure.limits["ECE"] == Limits("0.100 ±0.000", "0.050–0.200")


def test_the_bootstrap_intervals_of_older_records_are_not_shown() -> None:
    old = fake_record(intervals={"accuracy": (0.1, 0.2), "mean_class_recall": (0.1, 0.2)})
    (sure,) = panel_of([old]).sure
    assert {limits.interval for limits in sure.limits.values()} == {""}


def test_an_expression_with_too_few_faces_is_marked() -> None:
    few = scores_of(np.diag([30, 9, 30, 10, 30, 30, 30]))
    found = panel_of([fake_record(scores={"main": few}, kept=169)])
    assert found.few == ("fear",)
    assert "fear * 100.0" in found.drawings["recall"].svg and "surprise 100.0" in found.drawings["recall"].svg


def test_groups_have_a_cell_per_drawn_method_and_the_worst_is_named() -> None:
    records = [measured(fake_record(head, seed)) for head in ("linear-probe", "sigmoid-mask") for seed in (0, 1)]
    found = panel_of(records)
    assert list(found.groups) == ["age", "sex"]
    ages = found.groups["age"]
    assert [(group.value, group.faces) for group in ages] == [
        ("30 to 59", 100),
        ("60 and older", 100),
        ("under 30", 100),
    ]
    assert all(len(cell.values) == 2 for group in ages for cell in group.cells)
    assert worst(ages) == ("60 and older", "60 and older")
    assert worst(found.groups["sex"]) == ("female", "female")


def test_a_group_that_a_seed_lacks_is_missing_and_no_worst() -> None:
    first, second = (measured(fake_record(seed=seed), ("sex",)) for seed in (0, 1))
    one = {"sex": {"male": GroupRecord(n=50, accuracy=0.5, mean_class_recall=0.5, recall={"anger": 0.5})}}
    found = panel_of([first, second.model_copy(update={"groups": one})])
    assert [group.cells[0].values == () for group in found.groups["sex"]] == [True, False]
    assert worst(found.groups["sex"]) == ("",)


def test_a_single_group_is_not_the_worst_of_any() -> None:
    assert worst([Group("female", 5, (Cell((50.0,)), Cell()))]) == ("", "")


def test_of_each_head_the_variant_that_is_best_on_its_own_source_is_drawn() -> None:
    records = list(demo_records(seeds=1))
    better = fake_record("linear-probe", target="synthetic:studio", settings={"strengths": [2]}, run="better")
    best = {"scores": {"main": better.scores["main"].model_copy(update={"accuracy": 1.0})}}
    (board,) = boards(frame([*records, better.model_copy(update=best)]))
    drawn = {row.method.head: row.method.key for row in board.drawn}
    assert len(drawn) == 4 and drawn["linear-probe"] == better.method_key


def test_the_leading_method_comes_first_also_where_another_variant_of_its_head_is_better_on_the_source() -> None:
    records = list(demo_records(seeds=1))
    source = fake_record("text-similarity", target="synthetic:studio", settings={"strengths": [2]}, run="other")
    best = {"scores": {"main": source.scores["main"].model_copy(update={"accuracy": 1.0})}}
    records.append(source.model_copy(update=best))
    (board,) = boards(frame(records))
    rows = shown_rows(board, records)
    leading = board.leading(row for row in board.headline if row.method.head != "zero-shot")
    assert rows[0] == leading and leading not in board.drawn and rows[1:] == board.drawn
    untrained = [record for record in records if record.head == "zero-shot"]
    (board,) = boards(frame(untrained))
    assert shown_rows(board, untrained) == board.drawn


def test_the_hardest_target_is_the_unseen_one_that_the_leading_method_is_worst_on() -> None:
    records = list(demo_records(seeds=1))
    (board,) = boards(frame(records))
    panels = [panel_of(records, label) for label in board.columns]
    found = hardest(panels)
    assert found is not None and found.label == "synthetic:night" and found.leading.method.head == "text-similarity"
    easy = replace(found, kind="source")
    assert hardest([easy, panels[1]]) is panels[1] and hardest([easy]) is easy and hardest([]) is None


def test_cells_of_a_confusion_matrix_have_their_number_of_answers() -> None:
    records = [fake_record(seed=seed) for seed in (0, 1)]
    (confusion,) = panel_of(records).confusions
    counts = np.sum([record.scores["main"].confusion for record in records], axis=0)
    assert [[answers for _, answers in cells] for _, _, cells in confusion.rows] == counts.tolist()


def test_whiskers_are_intervals_of_the_mean_recall_among_one_seed_s_faces() -> None:
    records = [fake_record(seed=seed) for seed in (0, 1)]
    scores = [record.scores["main"] for record in records]
    intervals = [
        wilson(fmean(score.recall[name] or 0 for score in scores), scores[0].support[name])
        for name in records[0].classes
    ]
    pixels = (WIDTH - 78 - 14) / 1.02  # of the axis from 0 to 102 %
    expected = [pixels * (high - low) for low, high in intervals]
    assert whiskers(panel_of(records).drawings["recall"].svg) == pytest.approx(expected, abs=0.1)
