"""Adapted beside unadapted, and the record of the guard."""

from collections.abc import Iterator

import pytest

from fercache.policies import UNGUARDED
from fercache.records import AdaptationRecord, Record
from fercache.reporting.report import Report
from fercache.reporting.sections.adaptations import View, content
from tests.fake_records import drawn_scores, fake_record

GAINS = {"synthetic:night": 0.1, "synthetic:sketch": -0.1}
DECLINED = {"synthetic:night": "", "synthetic:sketch": "few expressions"}


def adapted(plain: Record, name: str, accuracy: float, declined: str = "") -> Record:
    scores = plain.scores["main"].model_dump() if declined else drawn_scores(accuracy, seed=5)
    return Record.model_validate(
        plain.model_dump(by_alias=True)
        | {
            "method_key": f"{plain.method_key}+{name}",
            "sees": "unlabelled target",
            "adaptation": AdaptationRecord(name=name, faces=700, declined=declined),
            "scores": {"main": scores},
            "calibration": None,
            "abstention": None,
            "kept": scores["n"],
        }
    )


def records() -> Iterator[Record]:
    """Centring helps at night and hurts sketches, where the guard declines for the first seed only."""
    for target, gain in GAINS.items():
        for seed in range(2):
            plain = fake_record("linear-probe", seed, target)
            yield plain
            reached = plain.scores["main"].accuracy + gain
            yield adapted(plain, f"center{UNGUARDED}", reached)
            yield adapted(plain, "center", reached, declined=DECLINED[target] if seed == 0 else "")


@pytest.fixture(scope="module")
def view() -> View:
    found = content(Report("r", list(records())))
    assert found is not None
    (view,) = found.context["views"]
    return view


def test_each_cell_is_the_change_of_the_same_run(view: View) -> None:
    assert view.labels == tuple(GAINS)
    assert [row.adaptation for row in view.rows] == ["center", f"center{UNGUARDED}"]
    by_run = {(r.run, r.target): r for r in records() if r.adaptation is None}
    for row in view.rows:
        for label, change in row.changes.items():
            ours = [r for r in records() if r.adaptation and r.adaptation.name == row.adaptation and r.target == label]
            expected = [100 * (r.scores["main"].accuracy - by_run[r.run, label].scores["main"].accuracy) for r in ours]
            assert change.change.values == pytest.approx(expected)
    assert [row.changes["synthetic:sketch"].declined for row in view.rows] == [1, 0]
    assert [row.changes["synthetic:sketch"].hurts for row in view.rows] == [True, True]
    assert not view.rows[1].changes["synthetic:night"].hurts


def test_the_guard_is_right_where_it_accepts_what_helps_and_declines_what_hurts(view: View) -> None:
    (guard,) = view.guards
    assert (guard.all, guard.decided, guard.right, guard.accepted) == (4, 4, 3, 3)
    gains = [change.change.values for change in view.rows[1].changes.values()]
    assert guard.without == pytest.approx(sum(map(sum, gains)) / 4)
    assert guard.gain == pytest.approx(guard.without - gains[1][0] / 4)


def test_a_report_without_adapted_runs_has_no_such_section() -> None:
    assert content(Report("r", [record for record in records() if record.adaptation is None])) is None
