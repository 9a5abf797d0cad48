"""Methods against a baseline: what is compared, on which faces, and the reasons why it cannot be."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from fercache.errors import UsageError
from fercache.records import Record, predictions_path
from fercache.reporting.predictions import Reader
from fercache.reporting.sections.differences import (
    BoardDifferences,
    MethodDifference,
    differences,
    differences_frame,
    same_result,
)
from fercache.reporting.table_rows import METRIC_NAMES, UNSEEN
from fercache.runtime.progress import say_once
from fercache.scoring.comparison import holm, mcnemar
from tests.fake_records import fake_record
from tests.reporting.fake_predictions import IDS, TRUTH, logits_of, readings, scored_record

WEBCAM, NIGHT = "synthetic:webcam", "synthetic:night"


def demo(cache: Path, targets: tuple[str, ...] = (WEBCAM, NIGHT)) -> list[Record]:
    """Zero-shot with one seed, a probe that is as good, and a head that is better, with two."""
    records = []
    for number, target in enumerate(targets):
        records.append(scored_record(cache, readings(number, 0.5), head="zero-shot", target=target))
        records.append(scored_record(cache, readings(10 + number, 0.5), head="linear-probe", target=target))
        for seed in (0, 1):
            predicted = readings(20 + 2 * number + seed, 0.8)
            records.append(scored_record(cache, predicted, head="text-similarity", seed=seed, target=target))
    return records


def found_by(records: list[Record], cache: Path, baseline: str = "zero-shot") -> dict[Any, MethodDifference]:
    """The differences on single targets of the only board, by head, readout, target and metric."""
    (found,) = differences(records, Reader(cache), baseline)
    return {(d.method.head, d.method.readout, d.target, d.metric): d for d in single(found)}


def single(found: BoardDifferences) -> list[MethodDifference]:
    return [each for each in found.differences if each.target != UNSEEN]


def summaries(found: BoardDifferences) -> list[MethodDifference]:
    return [each for each in found.differences if each.target == UNSEEN]


def mean_score(records: list[Record], head: str, target: str, metric: str) -> float:
    return float(np.mean([getattr(r.scores["main"], metric) for r in records if (r.head, r.target) == (head, target)]))


def test_differences_are_those_of_the_scores_averaged_over_seeds(tmp_path: Path) -> None:
    records = demo(tmp_path)
    found = found_by(records, tmp_path)
    assert len(found) == 2 * 2 * 2  # methods, targets, metrics
    for (head, _, target, metric), each in found.items():
        ours, theirs = (mean_score(records, name, target, metric) for name in (head, "zero-shot"))
        assert each.difference.value == pytest.approx(ours - theirs)
        assert each.faces == len(TRUTH)
        assert (each.difference.p < 0.02) == (head == "text-similarity")
        assert each.difference.about == "methods" and each.seeds == (2 if head == "text-similarity" else 1, 1)


def test_seeds_of_the_baseline_are_averaged_too(tmp_path: Path) -> None:
    records = demo(tmp_path)
    for (head, _, target, metric), each in found_by(records, tmp_path, "text-similarity").items():
        ours, theirs = (mean_score(records, name, target, metric) for name in (head, "text-similarity"))
        assert each.difference.value == pytest.approx(ours - theirs) and each.mcnemar_p is None


def test_p_is_adjusted_for_the_board_summaries_and_single_targets_apart(tmp_path: Path) -> None:
    (found,) = differences(demo(tmp_path), Reader(tmp_path), "zero-shot")
    assert (len(summaries(found)), len(single(found))) == (4, 8)
    for family in (summaries(found), single(found)):
        assert tuple(d.p_holm for d in family) == pytest.approx(holm([d.difference.p for d in family]))
        assert any(d.p_holm > d.difference.p for d in family)


def test_the_summary_is_the_mean_over_the_unseen_targets_which_are_drawn_too(tmp_path: Path) -> None:
    targets = (WEBCAM, NIGHT, "synthetic:sketch", "synthetic:studio")  # the last is the source
    records = demo(tmp_path, targets)
    (found,) = differences(records, Reader(tmp_path), "zero-shot")
    on_one = {(d.method.head, d.target, d.metric): d for d in single(found)}
    assert [d.method.head for d in summaries(found)] == ["linear-probe"] * 2 + ["text-similarity"] * 2
    for each in summaries(found):
        parts = [on_one[each.method.head, target, each.metric] for target in targets[:3]]
        assert each.difference.value == pytest.approx(np.mean([part.difference.value for part in parts]))
        assert each.faces == 3 * len(TRUTH) and each.seeds == parts[0].seeds and each.mcnemar_p is None
        assert each.difference.about == "methods" and each.difference.df <= 2.01
    gains = [on_one["linear-probe", target, "accuracy"].difference.value for target in targets[:3]]
    of_faces = [0.5 * 0.5 * 2 / len(TRUTH)] * 3  # two independent readers, right every second time
    expected = max(np.var(gains, ddof=1) / 3, np.sum(of_faces) / 9)
    half = summaries(found)[0].difference.high - summaries(found)[0].difference.value
    assert half == pytest.approx(t.ppf(0.975, 2) * np.sqrt(expected), rel=0.1)


def test_one_unseen_target_has_no_summary(tmp_path: Path) -> None:
    (found,) = differences(demo(tmp_path, (WEBCAM, "synthetic:studio")), Reader(tmp_path), "zero-shot")
    assert not summaries(found) and len(single(found)) == 8


def test_where_methods_have_one_unseen_target_in_common_there_is_no_summary(tmp_path: Path) -> None:
    records = [r for r in demo(tmp_path) if (r.head, r.target) != ("linear-probe", NIGHT)]
    (found,) = differences(records, Reader(tmp_path), "zero-shot")
    assert found.board.counted == (WEBCAM,) and summaries(found) == []


def test_one_seed_of_a_method_with_a_random_part_is_about_trained_models(tmp_path: Path) -> None:
    records = [r for r in demo(tmp_path) if r.seed == 0]
    (found,) = differences(records, Reader(tmp_path), "zero-shot")
    about = {(d.method.head, d.difference.about) for d in found.differences}
    assert about == {("linear-probe", "methods"), ("text-similarity", "trained models")}
    random = [r.model_copy(update={"seeded": True}) for r in records]  # explicit in the record
    (found,) = differences(random, Reader(tmp_path), "zero-shot")
    assert {d.difference.about for d in found.differences} == {"trained models"}


def test_seeds_that_scatter_leave_a_difference_in_doubt(tmp_path: Path) -> None:
    """By faces alone, averaged over seeds, this would be clear."""
    records = [scored_record(tmp_path, readings(0, 0.5), head="zero-shot", target=WEBCAM)]
    for seed, skill in enumerate((0.4, 0.65, 0.95)):
        records.append(
            scored_record(tmp_path, readings(9 + seed, skill), head="text-similarity", seed=seed, target=WEBCAM)
        )
    found = found_by(records, tmp_path)["text-similarity", "main", WEBCAM, "accuracy"]
    assert found.difference.value > 0.1 and found.difference.p > 0.05 and found.difference.df < 3


def test_mcnemar_is_for_the_accuracy_of_two_methods_with_one_seed(tmp_path: Path) -> None:
    records = demo(tmp_path, (WEBCAM,))
    found = found_by(records, tmp_path)
    expected = mcnemar(readings(10, 0.5) == TRUTH, readings(0, 0.5) == TRUTH)
    assert found["linear-probe", "main", WEBCAM, "accuracy"].mcnemar_p == expected
    assert found["linear-probe", "main", WEBCAM, "mean_class_recall"].mcnemar_p is None
    assert found["text-similarity", "main", WEBCAM, "accuracy"].mcnemar_p is None


def test_results_do_not_depend_on_the_order_of_the_records(tmp_path: Path) -> None:
    records = demo(tmp_path)
    assert found_by(records[::-1], tmp_path) == found_by(records, tmp_path)


def test_only_faces_that_both_read_with_the_same_label_are_compared(tmp_path: Path) -> None:
    probe = scored_record(tmp_path, readings(0, 0.6))
    rows = np.random.default_rng(1).permutation(len(TRUTH))[:150]  # in another order
    truth, predicted = TRUTH[rows].copy(), readings(2, 0.7)[rows]
    truth[:20] = (truth[:20] + 1) % 7  # labelled otherwise
    other = scored_record(tmp_path, predicted, truth=truth, ids=IDS[rows], head="zero-shot")
    each = found_by([probe, other], tmp_path)["linear-probe", "main", WEBCAM, "accuracy"]
    alike = rows[20:]
    gain = (readings(0, 0.6) == TRUTH)[alike] * 1.0 - (predicted == truth)[20:]
    assert each.faces == 130 and each.difference.value == pytest.approx(gain.mean())


def test_predictions_without_a_common_face_are_not_compared(tmp_path: Path) -> None:
    strangers = np.array([f"x{id}" for id in IDS], dtype=object)
    records = [
        scored_record(tmp_path, readings(0, 0.6)),
        scored_record(tmp_path, readings(0, 0.6), ids=strangers, head="zero-shot"),
    ]
    (found,) = differences(records, Reader(tmp_path), "zero-shot")
    assert found.differences == ()
    assert found.missing == (
        f"linear-probe on {WEBCAM}: The predictions to compare have no common face with the same label.",
    )


def test_expressions_that_the_target_does_not_know_stay_masked(tmp_path: Path) -> None:
    truth = TRUTH % 5  # of the seven, two are unknown
    predicted = readings(0, 0.6, truth) % 5
    logits = logits_of(predicted)
    logits[:, 6] = 2
    records = [
        scored_record(tmp_path, predicted, truth=truth, logits=logits),
        scored_record(tmp_path, truth, truth=truth, head="zero-shot"),
    ]
    each = found_by(records, tmp_path)["linear-probe", "main", WEBCAM, "accuracy"]
    assert each.difference.value == pytest.approx((predicted == truth).mean() - 1)


def test_every_readout_is_compared_by_its_own_predictions(tmp_path: Path) -> None:
    right, none_right = TRUTH, (TRUTH + 1) % 7
    records = [
        scored_record(tmp_path, {"main": right, "grouped": none_right}, head="sigmoid-mask"),
        scored_record(tmp_path, right, head="zero-shot"),
    ]
    found = found_by(records, tmp_path)
    assert found["sigmoid-mask", "main", WEBCAM, "mean_class_recall"].difference.value == 0
    assert found["sigmoid-mask", "grouped", WEBCAM, "mean_class_recall"].difference.value == -1
    backwards = found_by(records, tmp_path, "sigmoid-mask")  # in its main readout
    assert backwards["zero-shot", "main", WEBCAM, "mean_class_recall"].difference.value == 0


def test_missing_predictions_are_said_and_the_others_compared(tmp_path: Path) -> None:
    records = demo(tmp_path)
    gone = next(r for r in records if (r.head, r.seed, r.target) == ("text-similarity", 1, NIGHT))
    predictions_path(tmp_path / "runs" / gone.run, gone).unlink()
    (found,) = differences(records, Reader(tmp_path), "zero-shot")
    assert len(single(found)) == 6
    (line,) = found.missing
    assert line.startswith(f"text-similarity (mlp trunk) on {NIGHT}: ") and "fercache evaluate" in line


def test_a_target_without_the_baselines_predictions_is_said_once(tmp_path: Path) -> None:
    records = demo(tmp_path)
    predictions_path(tmp_path / "runs" / records[0].run, records[0]).unlink()
    (found,) = differences(records, Reader(tmp_path), "zero-shot")
    assert {each.target for each in found.differences} == {NIGHT}
    assert [line.split(":")[0] for line in found.missing] == ["zero-shot on synthetic"]


def test_predictions_that_are_not_the_records_are_refused(tmp_path: Path) -> None:
    records = demo(tmp_path, (WEBCAM,))
    scored_record(tmp_path, readings(99, 0.5), head="linear-probe")  # its predictions, with the old record
    (found,) = differences(records, Reader(tmp_path), "zero-shot")
    assert {each.method.head for each in found.differences} == {"text-similarity"}
    assert "does not match the scores in its record" in found.missing[0]


def test_cells_that_lack_a_seed_are_left_out_as_in_the_board(tmp_path: Path) -> None:
    records = [r for r in demo(tmp_path) if (r.head, r.seed, r.target) != ("text-similarity", 1, NIGHT)]
    (found,) = differences(records, Reader(tmp_path), "zero-shot")
    assert ("text-similarity", NIGHT) not in {(d.method.head, d.target) for d in found.differences}
    assert len(single(found)) == 6 and found.missing == ()


def test_other_selections_and_targets_without_duplicates_are_left_out(tmp_path: Path) -> None:
    records = demo(tmp_path, (WEBCAM,))
    others = [
        fake_record(head, seed, WEBCAM, **changes)
        for head, seed in (("zero-shot", 0), ("linear-probe", 0), ("text-similarity", 0), ("text-similarity", 1))
        for changes in ({"selection": "oracle"}, {"without_duplicates": True})
    ]
    (found,) = differences([*records, *others], Reader(tmp_path), "zero-shot")
    assert {each.target for each in found.differences} == {WEBCAM}
    assert len(found.differences) == 4 and found.missing == ()


def test_a_run_stands_for_its_method_with_all_its_seeds(tmp_path: Path) -> None:
    records = demo(tmp_path, (WEBCAM,))
    by_head = differences(records, Reader(tmp_path), "text-similarity")
    run = next(r.run for r in records if (r.head, r.seed) == ("text-similarity", 1))
    for name in (run, f"cache/runs/{run}", run[-8:]):
        assert differences(records, Reader(tmp_path), name) == by_head


def test_a_board_without_the_baseline_has_no_differences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = scored_record(tmp_path, readings(0, 0.5), source=NIGHT)
    records = [*demo(tmp_path, (WEBCAM,)), elsewhere]
    say_once.cache_clear()
    (found,) = differences(records, Reader(tmp_path), "zero-shot")
    assert found.board.source == "synthetic:studio"
    assert f"trained on {NIGHT}, encoder {elsewhere.encoder}: there is no run of zero-shot" in capsys.readouterr().err


def test_an_unknown_baseline_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no head or run 'linear-prob'.*Did you mean 'linear-probe'\?"):
        differences(demo(tmp_path), Reader(tmp_path), "linear-prob")


def test_a_baseline_that_is_several_methods_is_refused_with_a_run_of_each(tmp_path: Path) -> None:
    records = demo(tmp_path, (WEBCAM,))
    records.append(scored_record(tmp_path, readings(5, 0.5), settings={"strengths": [2]}))
    with pytest.raises(UsageError, match="'linear-probe' matches 2 methods") as raised:
        differences(records, Reader(tmp_path), "linear-probe")
    runs = [record.run for record in records if record.head == "linear-probe"]
    assert all(run in str(raised.value) for run in runs)
    assert len(differences(records, Reader(tmp_path), runs[0])) == 1


def test_the_frame_has_a_row_per_method_target_and_metric_in_points(tmp_path: Path) -> None:
    found = differences(demo(tmp_path), Reader(tmp_path), "zero-shot")
    table = differences_frame(found)
    assert list(table) == [
        *("encoder", "source", "head", "trunk", "readout", "changed_settings"),
        *("common_settings", "method_key", "sees", "baseline", "selection", "target"),
        *("metric", "difference", "low", "high", "p", "p_holm", "smallest", "about", "seeds", "baseline_seeds"),
        *("faces", "mcnemar_p"),
    ]
    assert set(zip(table["head"], table["trunk"], strict=True)) == {
        ("linear-probe", "none"),
        ("text-similarity", "mlp"),
    }
    for row, each in zip(table.to_dict("records"), found[0].differences, strict=True):
        named = (row["target"], row["metric"], row["baseline"], row["about"])
        assert named == (each.target, METRIC_NAMES[each.metric], "zero-shot", "methods")
        points = [100 * getattr(each.difference, name) for name in ("value", "low", "high", "smallest")]
        assert [row[name] for name in ("difference", "low", "high", "smallest")] == pytest.approx(points)
        assert (row["seeds"], row["baseline_seeds"]) == each.seeds
    assert list(differences_frame([])) == list(table)


def test_where_subjects_are_known_mcnemars_test_which_ignores_them_is_left_out(tmp_path: Path) -> None:
    subject = np.array([f"person {number % 30}" for number in range(len(TRUTH))], dtype=object)
    records = [
        scored_record(tmp_path, readings(seed, 0.5), head=head, target=WEBCAM, subject=subject)
        for head, seed in (("zero-shot", 0), ("linear-probe", 10))
    ]
    found = found_by(records, tmp_path)["linear-probe", "main", WEBCAM, "accuracy"]
    assert found.mcnemar_p is None and 0 < found.difference.p <= 1


def test_cells_that_say_the_same_are_said_once(tmp_path: Path) -> None:
    (found,) = differences(demo(tmp_path), Reader(tmp_path), "zero-shot")
    of_head = {method.head: list(of.values()) for method, of in found.by_method.items()}
    assert same_result(of_head["linear-probe"]) == "all 6 cells: not significant"
    clear, mean = of_head["text-similarity"], summaries(found)[-2:]
    alone = [each for each in clear if each.target != UNSEEN]
    assert same_result(alone) == "all 4 cells: significantly better"
    unclear = [replace(each, p_holm=0.5) for each in mean]
    assert same_result([*unclear, *alone]) == (
        "mean over the unseen targets: not significant; on single targets, all 4 cells: significantly better"
    )
    assert same_result([*alone[1:], replace(alone[0], p_holm=0.5)]) == "" == same_result(alone[:1])
    assert found.alike == ""
