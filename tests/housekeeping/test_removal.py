"""Names of what to remove, warnings, and a removal that is whole or did not happen."""

from pathlib import Path

import pytest

from fercache.errors import FercacheError, UsageError
from fercache.housekeeping import removal as module
from fercache.housekeeping.removal import items_of, remove, warnings
from fercache.store import atomic
from fercache.store.in_use import using
from fercache.store.locks import holding
from fercache.store.tables import TableInfo, find_tables, lock_path
from tests.housekeeping.made_caches import made_record, made_run, made_table, unchanged


@pytest.fixture
def table(tmp_path: Path) -> TableInfo:
    made_table(tmp_path, "folder:mine+shift:4")
    made_table(tmp_path, "folder:mine+blur:3")
    table = made_table(tmp_path)
    for seed in range(2):
        made_record(made_run(tmp_path, table, seed=seed), made_table(tmp_path, "folder:other"))
    return table


def places(cache: Path, *names: str) -> list[str]:
    return sorted(item.paths[0].name for item in items_of(cache, names))


def test_a_dataset_is_its_tables_and_those_of_its_shifted_images(tmp_path: Path, table: TableInfo) -> None:
    found = {name.rpartition("-")[0] for name in places(tmp_path, "folder:mine")}
    assert found == {"folder-mine", "folder-mine+shift-4"}


def test_tables_and_runs_by_any_of_their_names(tmp_path: Path, table: TableInfo) -> None:
    for name in (table.path, table.path.name, table.path.stem, table.path.stem[-8:]):
        assert places(tmp_path, str(name)) == [table.path.name]
    assert len(places(tmp_path, "sigmoid-mask")) == 2
    assert len(places(tmp_path, "sigmoid-mask-1", "sigmoid-mask")) == 2
    with pytest.raises(UsageError, match="'nothing' is not a run, table or dataset"):
        items_of(tmp_path, ["nothing"])


def test_what_refers_to_a_table_is_named(tmp_path: Path, table: TableInfo) -> None:
    assert "2 runs were trained on it" in warnings(tmp_path, items_of(tmp_path, [table.path.stem]))[0]
    (other,) = warnings(tmp_path, items_of(tmp_path, ["folder:other"]))
    assert "2 runs were scored on it" in other
    both = warnings(tmp_path, items_of(tmp_path, ["folder:other", "sigmoid-mask"]))
    assert [sentence.partition(":")[2] for sentence in both] == [" its 1 records go as well."] * 2


def test_removed_is_gone_and_all_else_stays(tmp_path: Path, table: TableInfo) -> None:
    table.path.with_suffix(".quarantine.csv").write_text("id,reason\n")
    remove(tmp_path, items_of(tmp_path, ["folder:mine", "sigmoid-mask-0"]))
    assert sorted(t.identity["dataset"] for t in find_tables(tmp_path)) == ["folder:mine+blur:3", "folder:other"]
    assert [path.name for path in table.path.parent.glob("folder-mine-*")] == []
    assert len(list((tmp_path / "runs").iterdir())) == 1
    assert list(tmp_path.rglob("*.tmp")) == []


def test_what_is_written_or_needed_is_refused(tmp_path: Path, table: TableInfo) -> None:
    items = items_of(tmp_path, ["sigmoid-mask-1", table.path.stem])
    with holding(lock_path(table.path)), pytest.raises(FercacheError, match="is being written"):
        remove(tmp_path, items)
    for needed in (table.path, items[0].paths[0]):
        with unchanged(tmp_path), using(tmp_path, [needed]):
            with pytest.raises(FercacheError, match="is needed by process"):
                remove(tmp_path, items)
            remove(tmp_path, items, still=list)
    assert len(remove(tmp_path, items)) == 2


def test_a_kill_leaves_temporaries_only(tmp_path: Path, table: TableInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    items = items_of(tmp_path, ["sigmoid-mask-1", table.path.stem])

    def killed(paths: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "delete", killed)
    with pytest.raises(KeyboardInterrupt):
        remove(tmp_path, items)
    assert all(not path.exists() for item in items for path in item.paths)
    assert table.path not in [t.path for t in find_tables(tmp_path)]
    monkeypatch.setattr(atomic, "_is_alive", lambda process: False)
    assert len(atomic.remove_abandoned(tmp_path)) == sum(len(item.paths) for item in items)
