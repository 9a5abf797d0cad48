"""The summary: what it claims, and what it must not."""

from pathlib import Path

import pytest

from fercache.records import Record, predictions_path
from fercache.reporting.page import write_report
from fercache.reporting.report import Report
from fercache.reporting.sections.ranks import ranks_of, report_ranks
from fercache.reporting.sections.summary import Verdict, overall, verdict
from tests.fake_records import fake_record
from tests.reporting.fake_predictions import IDS, TRUTH, readings, scored_record

TARGETS = ("synthetic:webcam", "synthetic:night", "synthetic:sketch")
WORSE = {"zero-shot": 0.3, "linear-probe": 0.5}


def run_records(
    cache: Path,
    skills: dict[str, float],
    targets: tuple[str, ...] = TARGETS,
    seeds: int = 2,
    selection: str = "source-val",
) -> list[Record]:
    """Heads that are right with these probabilities; a baseline has one seed."""
    return [
        scored_record(
            cache, readings(100 * h + 10 * s + n, skill), head=head, seed=s, target=target, selection=selection
        )
        for h, (head, skill) in enumerate(skills.items())
        for s in range(1 if head in WORSE else seeds)
        for n, target in enumerate(targets)
    ]


def judged(records: list[Record], cache: Path) -> Verdict:
    report = Report("trial", records, cache)
    (board,) = report.boards
    return verdict(board, ranks_of(report_ranks(report), board))


def test_a_method_that_is_clearly_above_all_others_has_won(tmp_path: Path) -> None:
    found = judged(run_records(tmp_path, {**WORSE, "sigmoid-mask": 0.7, "text-similarity": 0.95}), tmp_path)
    assert found.headline == "text-similarity (mlp trunk) won" and found.won and not found.no_better
    assert found.best and found.best.ranks["accuracy"] == "1"
    text = " ".join(found.sentences)
    assert "(2 seeds)" in text and "Next: sigmoid-mask (mlp trunk), −2" in text
    assert "All 3 others are significantly worse." in text
    assert "Trivial baselines: linear-probe and zero-shot are worse." in text
    assert "Intervals take the 3 targets as a sample of similar domains" in text


def test_within_noise_of_another_method_it_leads_but_has_not_won(tmp_path: Path) -> None:
    found = judged(run_records(tmp_path, {**WORSE, "sigmoid-mask": 0.94, "text-similarity": 0.95}), tmp_path)
    assert found.best and found.headline == f"{found.best.name} leads, but has not clearly won"
    (rival,) = found.as_good
    assert f"Not significantly worse, tested over all pairs: {rival.name}." in found.sentences


@pytest.mark.parametrize("skill", [0.5, 0.52])
def test_it_never_says_won_within_noise_of_a_baseline(tmp_path: Path, skill: float) -> None:
    found = judged(run_records(tmp_path, {**WORSE, "text-similarity": skill}), tmp_path)
    assert "won" not in found.headline and "linear-probe, a trivial baseline" in found.headline
    assert not found.won and found.no_better
    if found.best and not found.best.is_baseline:
        assert found.headline == "No method is clearly better than linear-probe, a trivial baseline"
        assert any("linear-probe" in each and each.endswith("may do as well.") for each in found.sentences)


def test_a_method_that_leads_under_one_selection_policy_alone_has_not_won(tmp_path: Path) -> None:
    records = run_records(tmp_path, {**WORSE, "sigmoid-mask": 0.7, "text-similarity": 0.95})
    records += run_records(tmp_path, {**WORSE, "sigmoid-mask": 0.99, "text-similarity": 0.95}, selection="last")
    found = judged(records, tmp_path)
    assert found.headline == "text-similarity (mlp trunk) leads, but has not clearly won" and not found.won
    expected = "another method is the most accurate: sigmoid-mask (mlp trunk) (last)."
    assert any(each.endswith(expected) for each in found.sentences)


def test_a_baseline_that_is_best_is_called_one(tmp_path: Path) -> None:
    found = judged(run_records(tmp_path, {"zero-shot": 0.3, "linear-probe": 0.9, "text-similarity": 0.5}), tmp_path)
    assert found.headline == "No method beats linear-probe, a trivial baseline" and not found.won


def test_one_seed_of_a_method_with_a_random_part_has_not_won(tmp_path: Path) -> None:
    found = judged(run_records(tmp_path, {**WORSE, "text-similarity": 0.95}, seeds=1), tmp_path)
    assert found.headline == "text-similarity (mlp trunk) leads, but has not clearly won"
    assert "another seed may reverse it" in " ".join(found.sentences)


def test_a_method_scored_on_fewer_faces_is_not_compared(tmp_path: Path) -> None:
    few = slice(0, 70)
    best = [
        scored_record(tmp_path, TRUTH[few], truth=TRUTH[few], ids=IDS[few], head="sigmoid-mask", target=target)
        for target in TARGETS
    ]
    found = judged([*run_records(tmp_path, {**WORSE, "text-similarity": 0.9}), *best], tmp_path)
    assert found.best and found.best.name.startswith("text-similarity")
    assert found.left_out == ("sigmoid-mask (mlp trunk)",)
    assert "Not compared, since scored on fewer targets or faces: sigmoid-mask (mlp trunk)." in found.sentences


def test_all_are_compared_on_the_targets_that_all_have(tmp_path: Path) -> None:
    """A method that is best on two targets does not lead by leaving out the hard one."""
    records = run_records(tmp_path, {**WORSE, "text-similarity": 0.9})
    records += run_records(tmp_path, {"sigmoid-mask": 0.8}, TARGETS[:2])
    found = judged(records, tmp_path)
    assert found.board.counted == tuple(sorted(TARGETS[:2]))
    assert found.best and found.best.name.startswith("text-similarity")


def test_without_predictions_nothing_is_claimed(tmp_path: Path) -> None:
    records = run_records(tmp_path, {**WORSE, "text-similarity": 0.95})
    for record in records:
        predictions_path(tmp_path / "runs" / record.run, record).unlink()
    found = judged(records, tmp_path)
    assert found.headline == "text-similarity (mlp trunk) has the highest score, untested"
    assert "there are no predictions to compare" in found.sentences[-1]


def test_a_method_without_predictions_leaves_the_win_open(tmp_path: Path) -> None:
    records = run_records(tmp_path, {**WORSE, "sigmoid-mask": 0.7, "text-similarity": 0.95})
    for record in (record for record in records if record.head == "sigmoid-mask"):
        predictions_path(tmp_path / "runs" / record.run, record).unlink()
    assert judged(records, tmp_path).headline == "text-similarity (mlp trunk) leads, but has not clearly won"


def test_one_target_one_method_and_no_unseen_target(tmp_path: Path) -> None:
    one = judged(run_records(tmp_path, {**WORSE, "text-similarity": 0.95}, TARGETS[:1]), tmp_path)
    assert one.headline == "text-similarity (mlp trunk) won"
    assert "One unseen target says nothing about others" in one.sentences[-1]
    alone = judged([scored_record(tmp_path / "alone", readings(1, 0.9), head="linear-probe")], tmp_path / "alone")
    assert alone.headline == "linear-probe is the only method"
    own = judged(
        [fake_record(target="synthetic:studio"), fake_record("zero-shot", target="synthetic:studio")], tmp_path
    )
    assert own.headline == "Nothing was scored on an unseen target" and own.sentences == [] and own.shown == []


def test_several_sources_have_one_line_each(tmp_path: Path) -> None:
    records = []
    for number, source in enumerate(("synthetic:studio", "ferplus")):
        for head, skill in (*WORSE.items(), ("text-similarity", 0.95 - 0.44 * number)):
            for s in range(1 if head in WORSE else 2):
                for n, target in enumerate(TARGETS):
                    answers = readings(1000 * number + 100 * len(head) + 10 * s + n, skill)
                    records.append(scored_record(tmp_path, answers, head=head, seed=s, target=target, source=source))
    report = Report("trial", records, tmp_path)
    found = [verdict(board, ranks_of(report_ranks(report), board)) for board in report.boards]
    text = overall(found)
    assert text == (
        "text-similarity (mlp trunk) is the most accurate for 1 of 2 sources, and has clearly won for 1; "
        "for 1 of 2 sources, a trivial baseline may do as well"
    )
    page = write_report(records, tmp_path / "trial", tmp_path).read_text(encoding="utf-8")
    summary = page[page.index('<section id="summary">') :].partition("</section>")[0]
    assert text in summary and summary.count("3 unseen targets") == 2 * 2  # in the table, and above the methods
    assert page.index('id="summary"') < page.index('id="scores"') < page.index('id="matrix"')
