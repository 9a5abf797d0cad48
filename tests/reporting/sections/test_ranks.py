"""Ranks within noise: what is planted, what cannot be compared, and that many methods take seconds."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from fercache.records import Record, predictions_path
from fercache.reporting.predictions import Reader
from fercache.reporting.sections.ranks import BoardRanks, rank_ranges, ranks, ranks_frame
from fercache.reporting.table_rows import UNSEEN
from tests.reporting.fake_predictions import IDS, TRUTH, readings, scored_record

WEBCAM, NIGHT, SKETCH = "synthetic:webcam", "synthetic:night", "synthetic:sketch"
SKILLS = {"text-similarity": 0.95, "sigmoid-mask": 0.94, "linear-probe": 0.6, "zero-shot": 0.3}


def demo(cache: Path, targets: tuple[str, ...] = (WEBCAM, NIGHT, SKETCH)) -> list[Record]:
    """Two methods with two seeds that are as good as each other, and two that are worse and worst."""
    return [
        scored_record(cache, readings(100 * h + 10 * s + n, skill), head=head, seed=s, target=target)
        for h, (head, skill) in enumerate(SKILLS.items())
        for s in range(1 if skill < 0.9 else 2)
        for n, target in enumerate(targets)
    ]


def ranked(records: list[Record], cache: Path) -> BoardRanks:
    (found,) = ranks(records, Reader(cache))
    return found


def places(found: BoardRanks, column: str, metric: Any = "accuracy") -> dict[str, str]:
    return {
        method.head: str(there[column, metric]) for method, there in found.ranges.items() if (column, metric) in there
    }


def test_methods_that_are_as_good_share_their_ranks_and_the_best_stand_first(tmp_path: Path) -> None:
    found = ranked(demo(tmp_path), tmp_path)
    expected = {"text-similarity": "1–2", "sigmoid-mask": "1–2", "linear-probe": "3", "zero-shot": "4"}
    assert found.columns == (UNSEEN, NIGHT, SKETCH, WEBCAM)
    for column in found.columns:
        for metric in ("accuracy", "mean_class_recall"):
            assert places(found, column, metric) == expected
    assert {row.method.head for row in found.rows[:2]} == {"text-similarity", "sigmoid-mask"}
    assert [row.method.head for row in found.rows[2:]] == ["linear-probe", "zero-shot"]
    assert found.missing == () and not found.single


def differing(value: list[list[float]], p: list[list[float]]) -> list[str]:
    return [str(each) for each in rank_ranges(np.array(value), np.array(p))]


def test_a_rank_counts_who_is_significantly_better_or_worse() -> None:
    value = [[0.0, 0.1, 0.2], [-0.1, 0.0, 0.1], [-0.2, -0.1, 0.0]]
    assert differing(value, [[1, 0.9, 0.01], [0.9, 1, 0.9], [0.01, 0.9, 1]]) == ["1–2", "1–3", "2–3"]
    assert differing(value, [[1, 0.001, 0.001], [0.001, 1, 0.001], [0.001, 0.001, 1]]) == ["1", "2", "3"]
    # By Holm, the smallest of three p is multiplied by three.
    assert differing(value, [[1, 0.9, 0.02], [0.9, 1, 0.9], [0.02, 0.9, 1]]) == ["1–3", "1–3", "1–3"]


def test_targets_that_disagree_leave_the_mean_open(tmp_path: Path) -> None:
    records = []
    for n, (target, skill) in enumerate(((WEBCAM, 0.9), (NIGHT, 0.3), (SKETCH, 0.9))):
        records.append(scored_record(tmp_path, readings(n, 0.5), head="zero-shot", target=target))
        records.append(scored_record(tmp_path, readings(9 + n, skill), head="linear-probe", target=target))
    found = ranked(records, tmp_path)
    assert places(found, WEBCAM)["linear-probe"] == "1" and places(found, NIGHT)["linear-probe"] == "2"
    assert set(places(found, UNSEEN).values()) == {"1–2"}


def test_a_method_on_fewer_faces_has_no_rank_and_takes_none_from_the_others(tmp_path: Path) -> None:
    records = demo(tmp_path, (WEBCAM,))
    few = slice(0, 140)
    scored = {"target": WEBCAM, "truth": TRUTH[few], "ids": IDS[few], "settings": {"strengths": [2]}}
    records.append(scored_record(tmp_path, readings(5, 0.5)[few], **scored))
    found = ranked(records, tmp_path)
    assert {each.methods for there in found.ranges.values() for each in there.values()} == {4} and len(found.rows) == 4


def test_what_has_no_predictions_is_said_and_the_others_ranked(tmp_path: Path) -> None:
    records = demo(tmp_path)
    gone = next(r for r in records if (r.head, r.target) == ("zero-shot", NIGHT))
    predictions_path(tmp_path / "runs" / gone.run, gone).unlink()
    found = ranked(records, tmp_path)
    (line,) = found.missing
    assert line.startswith(f"zero-shot on {NIGHT}: ") and "fercache evaluate" in line
    assert set(places(found, NIGHT)) == set(places(found, UNSEEN)) == set(SKILLS) - {"zero-shot"}
    assert places(found, WEBCAM)["zero-shot"] == "4"


def test_one_seed_of_a_method_with_a_random_part_is_marked(tmp_path: Path) -> None:
    records = [r for r in demo(tmp_path) if (r.head, r.seed) != ("sigmoid-mask", 1)]
    assert {method.head for method in ranked(records, tmp_path).single} == {"sigmoid-mask"}


def test_one_method_or_one_unseen_target_leaves_out_what_cannot_be_said(tmp_path: Path) -> None:
    records = demo(tmp_path, (WEBCAM,))
    assert ranked(records, tmp_path).columns == (WEBCAM,)
    assert ranks([r for r in records if r.head == "zero-shot"], Reader(tmp_path)) == []
    assert ranks([], Reader(tmp_path)) == []


def test_the_frame_has_a_row_per_method_column_and_metric(tmp_path: Path) -> None:
    found = ranks(demo(tmp_path), Reader(tmp_path))
    table = ranks_frame(found)
    assert len(table) == 4 * 4 * 2 and set(table["methods"]) == {4}
    worst = table[(table["head"] == "zero-shot") & (table["target"] == UNSEEN)]
    assert worst[["best_rank", "worst_rank", "seeds"]].to_numpy().tolist() == [[4, 4, 1]] * 2
    assert list(ranks_frame([])) == list(table)


def test_sixty_methods_take_seconds(tmp_path: Path) -> None:
    targets = (WEBCAM, NIGHT)
    records = [
        scored_record(tmp_path, readings(n + 7 * m, 0.5), target=target, settings={"strengths": [m]})
        for m in range(60)
        for n, target in enumerate(targets)
    ]
    start = time.process_time()
    found = ranked(records, tmp_path)
    assert time.process_time() - start < 8
    assert len(found.rows) == 60 and len(found.columns) == 3
