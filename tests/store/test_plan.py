"""The plan that shards agree on."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings

from fercache.errors import UsageError
from fercache.store.plan import ShardPlan
from tests.store.damage import damaged, damages

PLAN = ShardPlan("ab" * 32, 23, 5, ("happiness", "sadness"), ())


def test_shards_cover_every_row_once() -> None:
    assert [row for shard in range(PLAN.shards) for row in PLAN.rows_of(shard)] == list(range(23))


def test_round_trip(tmp_path: Path) -> None:
    PLAN.write(tmp_path / "plan.json")
    assert ShardPlan.read(tmp_path / "plan.json") == PLAN


@pytest.mark.parametrize("sizes", [(0, 5), (5, 0)])
def test_no_rows_are_no_plan(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="cannot have"):
        ShardPlan("ab", *sizes, ("happiness",), ())


@given(damage=damages)
@settings(max_examples=50, deadline=None)
def test_damage_is_refused_as_such(tmp_path_factory: pytest.TempPathFactory, damage: tuple[str, object]) -> None:
    path = tmp_path_factory.mktemp("damage") / "plan.json"
    PLAN.write(path)
    path.write_bytes(damaged(path.read_bytes(), damage))
    try:
        ShardPlan.read(path)
    except UsageError as error:
        assert "plan of shards" in str(error)


@pytest.mark.parametrize("text", ["7", "[]", "{}", json.dumps({"key": "", "rows": 1e400, "shard_rows": 1})])
def test_other_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(UsageError, match="plan of shards"):
        ShardPlan.read(tmp_path / "plan.json")
