"""Two runs side by side: what differs, how each scored, and on which faces."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fercache.errors import UsageError
from fercache.records import Record, predictions_path
from fercache.reporting.two_runs import Change, compare_pair, flips_frame, pair_table
from fercache.scoring.comparison import mcnemar
from tests.fake_records import CLASSES, fake_record
from tests.reporting.fake_predictions import IDS, TRUTH, readings, scored_record

WEBCAM, NIGHT = "synthetic:webcam", "synthetic:night"


def run_of(cache: Path, draw: int, skill: float, targets: tuple[str, ...] = (WEBCAM,), **changes: Any) -> list[Record]:
    """The records of one run, with predictions drawn from the seed `draw`."""
    return [
        scored_record(cache, readings(draw + i, skill), target=target, **changes) for i, target in enumerate(targets)
    ]


def test_scores_differences_and_recalls_are_those_of_the_records(tmp_path: Path) -> None:
    a = run_of(tmp_path, 0, 0.9, (NIGHT, WEBCAM), head="text-similarity")
    b = run_of(tmp_path, 5, 0.6, (NIGHT, WEBCAM), head="linear-probe")
    pair = compare_pair(a, b, tmp_path)
    assert (pair.a, pair.b, pair.missing) == (a[0].run, b[0].run, ())
    assert [each.target for each in pair.targets] == [NIGHT, WEBCAM]
    for each, ours, theirs in zip(pair.targets, a, b, strict=True):
        one, other = ours.scores["main"], theirs.scores["main"]
        assert each.faces == len(TRUTH)
        for metric in ("accuracy", "mean_class_recall"):
            score, expected = each.scores[metric], (getattr(one, metric), getattr(other, metric))
            assert (score.a, score.b) == pytest.approx(expected)
            assert score.difference.value == pytest.approx(expected[0] - expected[1])
            assert 0 < score.difference.low < score.difference.value < score.difference.high
            assert score.difference.p < 0.001
        assert tuple(each.recall) == CLASSES
        for name, score in each.recall.items():
            assert (score.a, score.b) == pytest.approx((one.recall[name], other.recall[name]))
            assert score.difference.value == pytest.approx(score.a - score.b)
            assert score.faces == one.support[name]


def test_a_run_against_itself_does_not_differ(tmp_path: Path) -> None:
    a = run_of(tmp_path, 0, 0.7)
    pair = compare_pair(a, a, tmp_path)
    (target,) = pair.targets
    assert (pair.changes, target.only_a, target.only_b, target.mcnemar_p) == ((), (), (), 1)
    for score in (*target.scores.values(), *target.recall.values()):
        difference = score.difference
        assert (difference.value, difference.p) == (0, 1)
        assert -difference.low == difference.high > 0  # on other faces, they were perhaps not alike
    assert "Both runs have the same settings and options." in pair_table(pair)


def test_flips_are_the_faces_that_one_run_alone_read_right(tmp_path: Path) -> None:
    predicted_a, predicted_b = readings(1, 0.8), readings(2, 0.7)
    a = [scored_record(tmp_path, predicted_a, head="text-similarity")]
    order = np.random.default_rng(3).permutation(len(TRUTH))  # ids are matched, not places
    b = [scored_record(tmp_path, predicted_b[order], truth=TRUTH[order], ids=IDS[order])]
    (target,) = (pair := compare_pair(a, b, tmp_path)).targets
    right_a, right_b = predicted_a == TRUTH, predicted_b == TRUTH
    assert [flip.id for flip in target.only_a] == list(IDS[right_a & ~right_b])
    assert [flip.id for flip in target.only_b] == list(IDS[right_b & ~right_a])
    assert target.mcnemar_p == mcnemar(right_a, right_b)
    table = flips_frame(pair)
    assert list(table) == ["target", "id", "truth", "a", "b", "a_right", "b_right"]
    assert len(table) == np.count_nonzero(right_a != right_b)
    for row in table.to_dict("records"):
        (place,) = np.flatnonzero(row["id"] == IDS)
        named = [CLASSES[each[place]] for each in (TRUTH, predicted_a, predicted_b)]
        assert [row[name] for name in ("truth", "a", "b")] == named
        assert (row["a_right"], row["b_right"]) == (right_a[place], right_b[place])


def test_only_what_differs_is_a_change(tmp_path: Path) -> None:
    a = run_of(
        tmp_path,
        0,
        0.8,
        settings={"epochs": 30, "rate": 0.1, "sizes": [1, 2]},
        options={"train": {"source": "synthetic:studio", "policy": "soft"}, "extract": {"encoder": "bundled"}},
    )
    b = run_of(
        tmp_path,
        0,
        0.8,
        seed=2,
        settings={"epochs": 30, "sizes": [1], "rate": 0.2, "decay": None, "momentum": 0},
        options={"train": {"source": "synthetic:studio@all", "policy": "soft"}},
    )
    assert set(compare_pair(a, b, tmp_path).changes) == {
        Change("source", "synthetic:studio", "synthetic:studio@all"),
        Change("rate", "0.1", "0.2"),
        Change("sizes", "[1, 2]", "[1]"),
        Change("momentum", "-", "0"),
        Change("seed", "0", "2"),
    }


def test_encoder_head_and_trunk_are_changes(tmp_path: Path) -> None:
    a = run_of(tmp_path, 0, 0.8, head="text-similarity", settings={})
    b = run_of(tmp_path, 0, 0.8, settings={}, encoder="other", encoder_key="e" * 64)
    changes = {each.name: (each.a, each.b) for each in compare_pair(a, b, tmp_path).changes}
    assert changes == {
        "encoder": ("bundled", "other"),
        "encoder key": (a[0].encoder_key[:8], "e" * 8),
        "head": ("text-similarity", "linear-probe"),
        "trunk": ("mlp", "none"),
    }


def test_targets_of_one_run_other_selections_and_duplicates_are_left_out(tmp_path: Path) -> None:
    a = [*run_of(tmp_path, 0, 0.9, (WEBCAM, NIGHT)), fake_record(selection="oracle", target=WEBCAM)]
    b = [*run_of(tmp_path, 0, 0.6, head="zero-shot"), fake_record("zero-shot", target=WEBCAM, without_duplicates=True)]
    a.append(fake_record(target=WEBCAM, without_duplicates=True))
    pair = compare_pair(a, b, tmp_path)
    assert [each.target for each in pair.targets] == [WEBCAM] and pair.missing == ()


def test_seeds_of_one_method_meet_under_a_policy_that_both_have(tmp_path: Path) -> None:
    """The seeds share a method, of which only one was trained with shifted images of source validation."""
    a, b = run_of(tmp_path, 0, 0.9), run_of(tmp_path, 5, 0.6, seed=1)
    assert a[0].method_key == b[0].method_key and a[0].run != b[0].run
    shifted = a[0].model_copy(update={"selection": "source-shifted"})
    pair = compare_pair([*a, shifted], b, tmp_path)
    (target,) = pair.targets
    assert target.scores["accuracy"].b == pytest.approx(b[0].scores["main"].accuracy)


def test_runs_without_a_common_target_are_refused(tmp_path: Path) -> None:
    a, b = run_of(tmp_path, 0, 0.9), run_of(tmp_path, 0, 0.6, (NIGHT,), head="zero-shot")
    with pytest.raises(UsageError, match="on targets that both were scored on") as raised:
        compare_pair(a, b, tmp_path)
    assert f"{a[0].run} on {WEBCAM} and {b[0].run} on {NIGHT}" in str(raised.value)


def test_a_target_without_predictions_is_said_and_the_others_compared(tmp_path: Path) -> None:
    a, b = (run_of(tmp_path, 0, 0.9, (NIGHT, WEBCAM), head=head) for head in ("text-similarity", "zero-shot"))
    predictions_path(tmp_path / "runs" / b[0].run, b[0]).unlink()
    pair = compare_pair(a, b, tmp_path)
    assert [each.target for each in pair.targets] == [WEBCAM]
    assert len(pair.missing) == 1 and pair.missing[0].startswith(f"{NIGHT}: ")
    assert f"not compared: {NIGHT}: " in pair_table(pair)
    predictions_path(tmp_path / "runs" / b[1].run, b[1]).unlink()
    assert "not compared" in pair_table(compare_pair(a, b, tmp_path))


def test_the_table_says_everything_in_aligned_columns(tmp_path: Path) -> None:
    truth = np.repeat([0, 3], [100, 4])
    ids = np.array([f"{i:03}" for i in range(104)], dtype=object)
    ours, theirs = truth.copy(), truth.copy()
    ours[:10] = 1
    theirs[5:100] = 2
    a, b = (
        [scored_record(tmp_path, predicted, truth=truth, ids=ids, head=head, settings={})]
        for predicted, head in ((ours, "text-similarity"), (theirs, "linear-probe"))
    )
    lines = pair_table(compare_pair(a, b, tmp_path)).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[:6] == [
        f"A: {a[0].run}",
        f"B: {b[0].run}",
        "",
        "       A                B",
        "head   text-similarity  linear-probe",
        "trunk  mlp              none",
    ]
    at = lines.index(f"{WEBCAM}: only A is right on 90, only B on 5 (McNemar's exact p <0.001)")
    assert [line.split()[:4] for line in lines[at + 1 : at + 5]] == [
        ["accuracy", "104", "90.4", "8.7"],
        ["mean", "class", "recall", "104"],
        ["surprise", "100", "90.0", "5.0"],
        [CLASSES[3], "4", "100.0", "100.0"],
    ]
    assert lines[at + 2].split()[4:7] == ["95.0", "52.5", "+42.5"]
    assert lines[at + 3].split()[4] == "+85.0" and lines[at + 3].endswith("<0.001")
    difference, low, high, p = lines[at + 4].split()[4:]
    assert (difference, p) == ("+0.0", "1.000") and float(high) == -float(low) > 50, "four faces say little"
    heading = next(line for line in lines if line.split()[:1] == ["faces"])
    assert {len(line) for line in (heading, *lines[at + 1 : at + 5])} == {len(heading)}


def test_where_subjects_are_known_mcnemars_test_which_ignores_them_is_left_out(tmp_path: Path) -> None:
    subject = np.array([f"person {number % 30}" for number in range(len(TRUTH))], dtype=object)
    a, b = (
        [scored_record(tmp_path, readings(seed, 0.7), head=head, subject=subject)]
        for seed, head in ((1, "text-similarity"), (2, "linear-probe"))
    )
    (target,) = (pair := compare_pair(a, b, tmp_path)).targets
    assert target.mcnemar_p is None and "McNemar" not in pair_table(pair)


def test_the_table_says_that_it_is_about_trained_models_and_what_compares_methods(tmp_path: Path) -> None:
    a, b = (run_of(tmp_path, 0, skill, seed=seed) for seed, skill in enumerate((0.7, 0.8)))
    pair = compare_pair(a, b, tmp_path)
    assert {score.difference.about for score in pair.targets[0].scores.values()} == {"trained models"}
    text = pair_table(pair)
    assert "two trained models, not two methods" in text and "fercache compare --baseline HEAD" in text


def test_long_names_and_settings_go_on_below(tmp_path: Path) -> None:
    target = "folder:" + "very-long-name-of-an-office-" * 3
    a = run_of(tmp_path, 0, 0.9, (target,), settings={"strengths": [round(0.1 * n, 1) for n in range(40)]})
    b = run_of(tmp_path, 0, 0.6, (target,), head="sigmoid-mask")
    text = pair_table(compare_pair(a, b, tmp_path))
    assert max(map(len, text.splitlines())) <= 80
    assert all(f" {0.1 * n:.1f}" in text for n in range(1, 40)) and target in "".join(text.split())
