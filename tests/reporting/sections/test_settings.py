from collections.abc import Iterable
from typing import Any

import pytest

from fercache.records import Record, frame
from fercache.reporting.boards import boards
from fercache.reporting.sections.settings import Sweep, sweeps
from tests.fake_records import fake_record


def records_of(grid: Iterable[dict[str, Any]], seeds: int = 2) -> list[Record]:
    return [
        fake_record("sigmoid-mask", seed, target, settings=settings)
        for settings in grid
        for seed in range(seeds)
        for target in ("synthetic:studio", "synthetic:webcam", "synthetic:night")
    ]


def swept(records: list[Record]) -> list[Sweep]:
    (board,) = boards(frame(records))
    return sweeps(board)


def test_three_values_of_one_setting_make_a_curve_on_source_and_unseen() -> None:
    (sweep,) = swept(records_of({"trunk": "mlp", "beta": beta} for beta in (5.0, 0.1, 1.0)))
    assert (sweep.head, sweep.trunk, sweep.name, sweep.fixed) == ("sigmoid-mask", "mlp", "beta", ())
    assert sweep.values == (0.1, 1.0, 5.0)
    assert {name: [len(cell.values) for cell in cells] for name, cells in sweep.curves.items()} == {
        "source": [2, 2, 2],
        "mean over unseen targets": [2, 2, 2],
    }
    assert "Accuracy of sigmoid-mask in percent by beta. source: 0.1 " in sweep.drawing.description


@pytest.mark.parametrize(
    "grid",
    [
        [{"beta": 0.1}, {"beta": 1.0}],
        [{"mask": "sigmoid"}, {"mask": "linear"}, {"mask": "none"}],
        [{"beta": 0.1, "rate": 1}, {"beta": 0.2, "rate": 2}, {"beta": 0.3, "rate": 3}],
    ],
    ids=["two values", "no numbers", "two settings at once"],
)
def test_anything_else_makes_none(grid: list[dict[str, Any]]) -> None:
    assert swept(records_of(grid)) == []


def test_settings_that_vary_around_one_point_make_a_curve_each() -> None:
    around = [{"a": a, "b": 1.0} for a in (0.5, 1.0, 2.0)] + [{"a": 1.0, "b": b} for b in (0.1, 10.0)]
    found = {sweep.name: (sweep.values, sweep.fixed) for sweep in swept(records_of(around))}
    assert found == {"a": ((0.5, 1.0, 2.0), (("b", 1.0),)), "b": ((0.1, 1.0, 10.0), (("a", 1.0),))}


def test_every_choice_of_another_setting_has_a_curve_of_its_own() -> None:
    grid = [{"beta": beta, "variant": variant} for beta in (0.1, 1.0, 5.0) for variant in ("paper", "paired")]
    assert sorted(sweep.fixed for sweep in swept(records_of(grid))) == [
        (("variant", "paired"),),
        (("variant", "paper"),),
    ]


def test_a_missing_seed_breaks_the_curve_and_nothing_complete_makes_none() -> None:
    records = records_of({"beta": beta} for beta in (0.1, 1.0, 5.0))
    gone = [
        each for each in records if not (each.settings["beta"] == 1.0 and each.seed == 1 and "studio" in each.target)
    ]
    (sweep,) = swept(gone)
    assert [cell.values == () for cell in sweep.curves["source"]] == [False, True, False]
    assert all(cell.values for cell in sweep.curves["mean over unseen targets"])
    ragged = [each for each in records if (each.seed == 0) == (each.target == "synthetic:studio")]
    assert swept(ragged) == []
