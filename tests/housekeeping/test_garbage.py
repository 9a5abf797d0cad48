"""`cache gc` removes what nothing needs, and nothing else."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fercache.housekeeping.garbage import ABANDONED_DAYS, Kept, garbage
from fercache.housekeeping.references import record_keys
from fercache.housekeeping.removal import remove
from fercache.loading.run_summaries import RunSummary, record_files_of, run_folders, summary_of
from fercache.loading.tables import find_table, first_of
from fercache.store import atomic
from fercache.store.in_use import using
from fercache.store.tables import TableInfo, find_tables
from tests.housekeeping.made_caches import made_record, made_run, made_table

LONG_AGO = time.time() - (ABANDONED_DAYS + 1) * 24 * 3600


def names(cache: Path, **given: Any) -> list[str]:
    return sorted(item.paths[0].name for item in garbage(cache, **given))


def collect(cache: Path, kept: Kept | None = None) -> None:
    remove(cache, garbage(cache, kept), still=lambda: garbage(cache, kept))


def aged(path: Path) -> Path:
    for each in [*path.rglob("*"), path]:
        os.utime(each, (LONG_AGO, LONG_AGO))
    return path


def test_a_replaced_table_goes_unless_something_refers_to_it(tmp_path: Path) -> None:
    old, older, new = (made_table(tmp_path, content=n, asked=asked) for n, asked in ((0, 1), (1, 0), (2, 2)))
    assert names(tmp_path) == sorted([old.path.name, older.path.name])
    run = made_run(tmp_path, old)
    assert names(tmp_path) == [older.path.name]
    made_record(run, older)
    assert names(tmp_path) == []
    assert first_of(find_tables(tmp_path), new).path == new.path


def test_a_table_that_an_experiment_refers_to_stays(tmp_path: Path) -> None:
    old, _ = made_table(tmp_path), made_table(tmp_path, content=1, asked=1)
    assert names(tmp_path, kept=Kept([old.path])) == []


def test_views_and_features_that_runs_need_stay(tmp_path: Path) -> None:
    made_table(tmp_path, views=2)
    made_table(tmp_path, asked=1)
    assert names(tmp_path) == []
    first = made_table(tmp_path, "folder:office", version=1)
    made_table(tmp_path, "folder:office", version=2, asked=1)
    assert names(tmp_path) == [first.path.name]
    made_run(tmp_path, made_table(tmp_path, "folder:third", version=1))
    assert names(tmp_path) == []


def test_a_run_goes_once_a_later_version_has_trained_and_scored_it(tmp_path: Path) -> None:
    table = made_table(tmp_path)
    earlier = made_run(tmp_path, table, key_version=1)
    aged(earlier)
    made_record(earlier, table)
    later = made_run(tmp_path, table)
    assert names(tmp_path) == []
    made_record(later, table)
    assert names(tmp_path) == [earlier.name]
    assert names(tmp_path, kept=Kept(runs=lambda: {earlier})) == []


def test_other_settings_or_faces_replace_nothing(tmp_path: Path) -> None:
    table = made_table(tmp_path)
    aged(made_run(tmp_path, table, key_version=1))
    made_run(tmp_path, table, settings={"epochs": 4})
    made_run(tmp_path, table, seed=1)
    made_run(tmp_path, made_table(tmp_path, content=1, asked=1))
    assert [name for name in names(tmp_path) if "sigmoid" in name] == [
        folder.name for folder in run_folders(tmp_path) if summary_of(folder)["key_version"] == 1
    ]
    two = tmp_path / "two"
    old = made_table(two)
    aged(made_run(two, old))
    made_run(two, made_table(two, content=1, asked=1))
    assert names(two) == []


LEFT: dict[str, Callable[[TableInfo], Path]] = {
    "x.h5.4194304-abcdef.tmp": lambda table: table.path.with_name(f"{table.path.name}.4194303-01234567.tmp"),
    "damaged": lambda table: table.path.with_name(f"{table.path.name}.damaged"),
    "finished": lambda table: table.path.with_suffix(".parts"),
    "note": lambda table: table.path.with_name("folder-gone-01234567.asked"),
    "list": lambda table: table.path.with_name("folder-gone-01234567.quarantine.csv"),
    "copies": lambda table: table.path.parents[2] / "copies" / "made" / "folder-gone-01234567.h5",
}


@pytest.mark.parametrize("what", LEFT)
def test_what_was_left_behind(tmp_path: Path, what: str) -> None:
    table = made_table(tmp_path)
    path = LEFT[what](table)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir() if path.suffix == ".parts" else path.write_text("left")
    assert names(tmp_path) == [path.name]
    collect(tmp_path)
    assert not path.exists() and names(tmp_path) == []
    assert find_table(tmp_path, "folder:mine", None).path == table.path


def test_unfinished_work_stays_for_a_week(tmp_path: Path) -> None:
    table = made_table(tmp_path)
    parts = table.path.with_name("folder-big-01234567.parts")
    parts.mkdir()
    (parts / "000000.h5").write_text("shard")
    run = tmp_path / "runs" / "made-folder-mine-knn-none-0-01234567"
    run.mkdir(parents=True)
    assert names(tmp_path) == []
    aged(parts)
    aged(run)
    assert names(tmp_path) == sorted([parts.name, run.name])


def test_a_damaged_run_keeps_every_table(tmp_path: Path) -> None:
    made_table(tmp_path)
    run = made_run(tmp_path, made_table(tmp_path, content=1, asked=1))
    assert len(names(tmp_path)) == 1
    (run / "config.json").write_text("{")
    assert names(tmp_path) == []


def test_predictions_go_only_if_asked_and_only_with_all_that_makes_them(tmp_path: Path) -> None:
    table, gone = made_table(tmp_path), made_table(tmp_path, "folder:gone")
    run = made_run(tmp_path, table)
    record = made_record(run, table)
    made_record(run, gone)
    gone.path.unlink()
    imported = tmp_path / "runs" / "imported-folder-mine-model-0-01234567"
    imported.mkdir()
    made_record(imported, table)
    assert [name for name in names(tmp_path) if "predictions" in name or "source-val" in name] == []
    found = [item for item in garbage(tmp_path, predictions=True) if item.kind == "predictions"]
    assert [item.paths for item in found] == [(run / "predictions" / f"{record.stem}.h5",)]


def test_what_a_command_needs_is_kept(tmp_path: Path) -> None:
    old, _ = made_table(tmp_path), made_table(tmp_path, content=1, asked=1)
    with using(tmp_path, [old.path]):
        collect(tmp_path)
    assert old.path.exists()
    collect(tmp_path)
    assert not old.path.exists()


def test_a_run_that_was_trained_after_the_question_keeps_its_table(tmp_path: Path) -> None:
    old, _ = made_table(tmp_path), made_table(tmp_path, content=1, asked=1)
    items = garbage(tmp_path)
    made_run(tmp_path, old)
    assert remove(tmp_path, items, still=lambda: garbage(tmp_path)) == []
    assert old.path.exists()


TABLES = st.lists(
    st.fixed_dictionaries(
        {
            "dataset": st.sampled_from(["folder:a", "folder:b", "folder:a+blur:3"]),
            "content": st.integers(0, 2),
            "version": st.integers(1, 2),
            "views": st.sampled_from([0, 0, 2]),
        }
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda table: tuple(sorted(table.items())),
)
RUNS = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.integers(0, 1),
        st.integers(1, 2),
        st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["last", "source-val"])), max_size=3),
    ),
    max_size=5,
)


FOLDER_A = {"dataset": "folder:a", "content": 0, "version": 1, "views": 0}


def made_with(run: RunSummary) -> tuple[Any, Any]:
    """What a later version has another of."""
    return run["key_version"], run["encoder_identity"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example([FOLDER_A, FOLDER_A | {"version": 2}], [(0, 0, 2, []), (1, 0, 2, [])], set(), False)
@example([FOLDER_A, FOLDER_A | {"views": 2}], [], set(), True)
@given(TABLES, RUNS, st.sets(st.integers(0, 4)), st.booleans())
def test_nothing_that_is_referred_to_goes(
    made: list[dict[str, Any]],
    trained: list[tuple[int, int, int, list[tuple[int, str]]]],
    of_experiments: set[int],
    leftover: bool,
) -> None:
    """In any cache: everything that a run, a record or an experiment refers to is there afterwards."""
    with TemporaryDirectory() as folder:
        cache = Path(folder)
        tables = [made_table(cache, **table, asked=place) for place, table in enumerate(made)]
        for age, (source, seed, key_version, scored) in enumerate(trained):
            run = made_run(cache, tables[source % len(tables)], seed=seed, key_version=key_version)
            os.utime(run / "done", (LONG_AGO + age, LONG_AGO + age))
            for target, selection in scored:
                made_record(run, tables[target % len(tables)], selection)
        if leftover:
            tables[0].path.with_suffix(".parts").mkdir()
        kept = Kept([tables[place % len(tables)].path for place in of_experiments])
        used = {table.path: first_of(find_tables(cache), table).path for table in tables}
        records = {path: record_keys(path) for run in run_folders(cache) for path in record_files_of(run)}
        before = {folder: summary_of(folder) for folder in run_folders(cache)}
        collect(cache, kept)
        there = find_tables(cache)
        keys = {table.clean_key for table in there}
        for run in run_folders(cache):
            assert keys.issuperset(summary_of(run).table_keys)
            assert all(record_keys(path)["target"] in keys for path in record_files_of(run))
        assert {table.path for table in there} >= {*kept.tables, *used.values()}
        assert all(first_of(there, table).path == used[table.path] for table in there)
        for run in (run for run in before if not run.exists()):
            without_key = run.name.rpartition("-")[0]
            alike = [other for other in run_folders(cache) if other.name.rpartition("-")[0] == without_key]
            newer = [other for other in alike if made_with(before[other]) != made_with(before[run])]
            mine = {path.name for path in records if path.parent.parent == run}
            assert any(mine <= {path.name for path in record_files_of(other)} for other in newer)
        assert all(path.exists() for path in records if path.parent.parent.exists())
        assert garbage(cache, kept) == []


def test_a_kill_between_two_renames_leaves_no_half_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename, killed = Path.rename, 0
    for most in range(4):
        cache = tmp_path / str(most)
        table = made_table(cache)
        table.path.with_suffix(".quarantine.csv").write_text("id,reason\n")
        aged(made_run(cache, made_table(cache, content=1, asked=1), key_version=1))
        made_run(cache, find_tables(cache)[0])
        left = most

        def kill(path: Path, target: Path) -> Path:
            nonlocal left
            left -= path.parent.name != "in-use"
            if left < 0:
                raise KeyboardInterrupt
            return rename(path, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", kill)
            try:
                collect(cache)
            except KeyboardInterrupt:
                killed += 1
        assert len(find_tables(cache)) == (2 if table.path.exists() else 1)
        monkeypatch.setattr(atomic, "_is_alive", lambda process: False)
        collect(cache)
        assert [t.path for t in find_tables(cache)] != [] and not list(cache.rglob("*.tmp"))
        assert not list(cache.rglob(f"{table.path.stem}*"))
    assert killed >= 2
