"""Leave-one-domain-out reads as one table: a method, and each set that it was not given."""

import csv
from pathlib import Path

from fercache.records import Record, frame
from fercache.reporting.boards import boards
from fercache.reporting.leave_one_out import ALL_OTHERS, as_one_source
from fercache.reporting.page import write_report
from tests.fake_records import fake_record

SETS = ("synthetic:night", "synthetic:sketch", "synthetic:webcam")


def scored(target: str, seed: int = 0, head: str = "linear-probe", others: tuple[str, ...] = SETS) -> Record:
    source = " & ".join(name for name in others if name != target)
    return fake_record(head, seed, target, source=source, options={"train": {"source": source}})


def test_each_set_is_a_column_and_the_mean_is_over_all() -> None:
    records = [
        scored(target, seed, head) for target in SETS for seed in (0, 1) for head in ("linear-probe", "zero-shot")
    ]
    (board,) = boards(frame(as_one_source(records)))
    assert (board.source, board.own, board.unseen) == (ALL_OTHERS, (), SETS)
    assert [row.method.head for row in board.headline] == ["zero-shot", "linear-probe"]
    accuracy = {(r.head, r.target, r.seed): 100 * r.scores["main"].accuracy for r in records}
    for row in board.headline:
        for target in SETS:
            assert row.cells[target]["accuracy"].values == tuple(accuracy[row.method.head, target, s] for s in (0, 1))
        assert row.unseen_mean["accuracy"].mean is not None


def test_other_records_stay_as_they_are() -> None:
    pool = "synthetic:night & synthetic:sketch"
    alone = [fake_record(), scored(SETS[0]), fake_record(target="synthetic:night", source=pool)]
    assert as_one_source(alone) == alone  # one left-out set is no leave-one-out


def test_experiments_on_different_sets_stand_apart() -> None:
    two = (*SETS[:2], "synthetic:studio")
    records = [scored(target, others=sets) for sets in (SETS, two) for target in sets]
    sources = {record.source for record in as_one_source(records)}
    assert sources == {f"{ALL_OTHERS}, of {', '.join(sorted(sets))}" for sets in (SETS, two)}


def test_the_report_shows_it_and_keeps_the_sources_for_machines(tmp_path: Path) -> None:
    records = [scored(target) for target in SETS]
    page = write_report(records, tmp_path / "left-out")
    text = page.read_text(encoding="utf-8")
    assert f"Trained on {ALL_OTHERS}" in text
    for record in records:
        assert f"--source &#39;{record.source.replace('&', '&amp;')}&#39;" in text
    with (page.parent / "results.csv").open(encoding="utf-8", newline="") as stream:
        assert {row["source"] for row in csv.DictReader(stream)} == {record.source for record in records}


def test_another_experiment_in_the_same_report_keeps_its_scores() -> None:
    pool = "synthetic:night & synthetic:sketch"
    left_out = [scored(target) for target in SETS]
    beyond = fake_record("linear-probe", target="synthetic:studio", source=pool, run=left_out[2].run)
    other = scored(SETS[2], head="zero-shot")
    found = {board.source: board for board in boards(frame(as_one_source([*left_out, beyond, other])))}
    assert set(found) == {ALL_OTHERS, pool}
    assert [row.method.head for row in found[ALL_OTHERS].headline] == ["linear-probe"]
    assert found[ALL_OTHERS].headline[0].unseen_mean["accuracy"].mean is not None
    heads = {row.method.head: row.cells["synthetic:webcam"]["accuracy"].mean for row in found[pool].headline}
    assert set(heads) == {"linear-probe", "zero-shot"} and None not in heads.values()
