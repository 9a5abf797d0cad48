"""What `cache du` adds up is what is on the disk."""

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.housekeeping.usage import KINDS, usage
from tests.housekeeping.made_caches import made_record, made_run, made_table

PARTS = ("features", "made", "runs", "run-0-01234567", "predictions", "records", "crops", "copies", "maps", "prompts")
PARTS += ("mine-01234567.h5", "mine-01234567.parts", "x.tmp", "x.h5.damaged", "detections", "note.asked", "in-use")


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map("/".join), st.binary(max_size=99)))
def test_all_bytes_are_counted_once(tmp_path_factory: object, files: dict[str, bytes]) -> None:
    """Whatever lies in a cache, in known places or not."""
    cache: Path = tmp_path_factory.mktemp("cache")  # type: ignore[attr-defined]
    for name, data in files.items():
        path = cache / name
        if not path.exists() and not any(parent.is_file() for parent in path.parents):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    found = usage(cache)
    there = [Path(folder, name) for folder, _, names in os.walk(cache) for name in names]
    assert found.bytes == sum(path.stat().st_size for path in there)
    assert found.files == len(there) == sum(found.counts.values())
    assert found.bytes == sum(found.kinds.values())
    assert set(found.kinds) <= set(KINDS)
    of_runs = sum(sum(of.values()) for of in found.runs.values())
    assert of_runs == sum(found.kinds.get(kind, 0) for kind in ("run weights", "predictions", "records"))


def test_by_kind_dataset_and_run(tmp_path: Path) -> None:
    table = made_table(tmp_path)
    run = made_run(tmp_path, table)
    record = made_record(run, table)
    unfinished = table.path.with_name("folder-other-01234567.parts") / "000000.h5"
    unfinished.parent.mkdir()
    unfinished.write_bytes(b"1234")
    found = usage(tmp_path)
    assert found.kinds["feature tables"] == sum(each.stat().st_size for each in table.path.parent.glob("folder-mine*"))
    assert found.kinds["unfinished tables"] == 4
    assert found.datasets == {"folder:mine": found.kinds["feature tables"], "folder-other": 4}
    assert found.runs[run.name]["records"] == record.stat().st_size
    assert found.runs[run.name]["predictions"] == len("predictions")
    assert found.runs[run.name]["run weights"] == sum(each.stat().st_size for each in run.iterdir() if each.is_file())


def test_an_absent_cache_is_empty(tmp_path: Path) -> None:
    assert usage(tmp_path / "nowhere").bytes == 0
