"""What `list runs` says of each run, and that it is quick."""

import os
import shutil
import time
from datetime import timedelta
from pathlib import Path

from fercache.housekeeping.run_list import listed_runs
from fercache.housekeeping.table_list import listed_tables
from fercache.store.belongings import bytes_of
from fercache.store.tables import find_tables
from tests.housekeeping.made_caches import made_record, made_run, made_table


def states(cache: Path) -> dict[str, str]:
    return {run.name: run.state for run in listed_runs(cache)}


def test_score_is_the_mean_over_unseen_targets(tmp_path: Path) -> None:
    run = made_run(tmp_path, made_table(tmp_path))
    seen = {"seen_by_encoder": True}
    for target, more in (("folder:a", {}), ("folder:b", {}), ("folder:a+blur:3", {}), ("folder:c", seen)):
        made_record(run, made_table(tmp_path, target), **more)
        made_record(run, made_table(tmp_path, target), "oracle", **more)
    (listed,) = listed_runs(tmp_path)
    assert listed.score is not None
    assert listed.score.targets == ("folder:a", "folder:b")
    assert listed.score.selection == "source-val"
    assert listed.bytes == bytes_of([run]) > 0


def test_what_differs_among_runs_of_a_head(tmp_path: Path) -> None:
    table = made_table(tmp_path)
    for seed, epochs in ((0, 3), (1, 3), (0, 9)):
        made_run(tmp_path, table, seed=seed, settings={"epochs": epochs})
    made_run(tmp_path, table, head="knn", votes="soft", faces=100)
    found = {run.name: run.differs for run in listed_runs(tmp_path)}
    assert found["sigmoid-mask-1"] == {"epochs": "3"}
    assert found["knn-0"] == {"votes": "soft", "faces": "100"}


def test_states(tmp_path: Path) -> None:
    table = made_table(tmp_path)
    made_run(tmp_path, table, seed=1)
    made_run(tmp_path, table, seed=2, key_version=1)
    (made_run(tmp_path, table, seed=3) / "history.csv").write_text("changed")
    (made_run(tmp_path, table, seed=4) / "done").unlink()
    made_run(tmp_path, table, head="my-head")
    (made_run(tmp_path, table, seed=5) / "head.safetensors").unlink()
    imported = tmp_path / "runs" / "imported-folder-other-model-0-01234567"
    imported.mkdir()
    made_record(imported, table)
    found = states(tmp_path)
    assert found.pop("linear-probe-0") == "imported"
    assert found == {
        "sigmoid-mask-1": "complete",
        "sigmoid-mask-2": "stale",
        "sigmoid-mask-3": "damaged",
        "sigmoid-mask-4": "unfinished",
        "sigmoid-mask-5": "damaged",
        "my-head-0": "unknown head",
    }
    made_table(tmp_path, content=1, asked=1)
    assert states(tmp_path)["sigmoid-mask-1"] == "stale"


def test_tables_and_what_refers_to_them(tmp_path: Path) -> None:
    old = made_table(tmp_path)
    run = made_run(tmp_path, old)
    new = made_table(tmp_path, content=1, views=2, asked=1)
    unfinished = old.path.with_name("folder-big-01234567.parts")
    unfinished.mkdir()
    damaged = made_table(tmp_path, "folder:torn").path
    damaged.write_bytes(damaged.read_bytes()[:1000])
    found = {table.key: table for table in listed_tables(tmp_path)}
    assert found[old.path.stem[-8:]].state == "stale" and found[old.path.stem[-8:]].runs == (run.name,)
    assert found[new.path.stem[-8:]].state == "complete" and found[new.path.stem[-8:]].views == 2
    assert found["01234567"].state == "unfinished" and found[damaged.stem[-8:]].state == "damaged"
    assert found[new.path.stem[-8:]].date - found[old.path.stem[-8:]].date == timedelta(minutes=1)


def test_five_hundred_runs_take_seconds(tmp_path: Path) -> None:
    run = made_run(tmp_path, made_table(tmp_path))
    for target in range(6):
        for selection in ("source-val", "oracle"):
            made_record(run, made_table(tmp_path, f"folder:t{target}"), selection)
    for number in range(500):
        copied = tmp_path / "runs" / f"{run.name.rpartition('-')[0]}-{number:08x}"
        shutil.copytree(run, copied, copy_function=os.link)
    start = time.process_time()
    assert len(listed_runs(tmp_path)) == 501
    assert time.process_time() - start < 3
    assert len(find_tables(tmp_path)) == 7
