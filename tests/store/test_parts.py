"""A table in parts is the same table."""

import logging
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.errors import UsageError
from fercache.store import tables
from fercache.store.parts import part_path, rows_folder
from fercache.store.rows import StoredRows
from fercache.store.sealed import DamagedFileError
from fercache.store.shards import TableWriter
from fercache.store.tables import FeatureTable, KnownFeatures, find_tables, parts_folder, read_info, read_table
from fercache.store.verify import verify
from tests.conftest import REPOSITORY
from tests.store.made_tables import (
    IDENTITY,
    ROWS,
    SETTLED,
    SHARD_ROWS,
    assert_equal,
    columns,
    is_unreadable,
    place,
    write_shard,
    write_table,
    writer,
)

PART_ROWS = 30
PARTS = -(-ROWS // PART_ROWS)
SHARDS = ROWS // SHARD_ROWS


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> FeatureTable:
    """The table in one file."""
    return read_table(write_table(place(tmp_path_factory.mktemp("whole"))))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The table in parts."""
    return write_table(place(tmp_path / "cache"), part_rows=PART_ROWS)


def assert_same(path: Path, whole: FeatureTable) -> None:
    found = read_table(path)
    assert (found.key, found.identity, found.provenance) == (whole.key, whole.identity, whole.provenance)
    assert (found.classes, found.vote_columns, found.quarantined) == (
        whole.classes,
        whole.vote_columns,
        whole.quarantined,
    )
    stored = {name: array[:] for name, array in found.columns.arrays().items()}
    assert_equal(type(found.columns).of(stored), whole.columns)
    quarantine = path.with_suffix(".quarantine.csv")
    assert quarantine.read_text() == whole.path.with_suffix(".quarantine.csv").read_text()


@given(shard_rows=st.integers(1, 120), part_rows=st.integers(1, 120), in_memory=st.booleans())
@settings(max_examples=25, deadline=None)
def test_any_parts_are_the_same_table(
    tmp_path_factory: pytest.TempPathFactory, whole: FeatureTable, shard_rows: int, part_rows: int, in_memory: bool
) -> None:
    path = place(tmp_path_factory.mktemp("parts"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "SMALL", tables.SMALL if in_memory else 0)
        assert_same(write_table(path, shard_rows=shard_rows, part_rows=part_rows), whole)
        features = read_table(path).columns.features["clean"]
    assert isinstance(features, StoredRows) != in_memory
    info, one = read_info(path), read_info(whole.path)
    assert (info.key, info.rows, info.views, info.splits) == (one.key, one.rows, one.views, one.splits)


def test_parts_hold_the_rows_and_nothing_else_is_left(path: Path) -> None:
    assert path.stat().st_size < 20_000
    assert [part.name for part in read_info(path).parts] == [f"{part:06d}.h5" for part in range(PARTS)]
    assert sorted(file.name for file in rows_folder(path).iterdir()) == [
        *(f"{part:06d}.h5" for part in range(PARTS)),
        "plan.json",
    ]
    assert {file.suffix for file in path.parent.iterdir()} == {".h5", ".csv", ".rows"}
    assert [info.path for info in find_tables(path.parents[2])] == [path]
    assert verify(path.parents[2]) == []


def test_a_table_that_fits_in_one_file_is_the_file_it_always_was(tmp_path: Path, whole: FeatureTable) -> None:
    path = write_table(place(tmp_path), part_rows=ROWS)
    assert path.read_bytes() == whole.path.read_bytes()
    assert not rows_folder(path).exists()


def test_shards_are_removed_part_by_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """There is never a second copy of more than one part."""
    path, left = place(tmp_path), list[int]()

    def look(record: logging.LogRecord) -> None:
        if record.getMessage().startswith("part") and record.getMessage().endswith("before rename"):
            left.append(len(list(parts_folder(path).glob("*.h5"))))

    monkeypatch.setattr(caplog.handler, "emit", look)
    with caplog.at_level(logging.DEBUG, "fercache.phases"):
        write_table(path, part_rows=PART_ROWS)
    assert left == [SHARDS - part * PART_ROWS // SHARD_ROWS for part in range(PARTS)]


@pytest.mark.parametrize("damage", ["absent", "cut", "flip", "other"])
def test_a_damaged_part_is_named_and_only_its_rows_are_written_again(
    path: Path, whole: FeatureTable, damage: str
) -> None:
    victim = part_path(path, 1)
    kept, content = part_path(path, 2).read_bytes(), victim.read_bytes()
    digest = columns([30]).pixel_sha256.tobytes()
    assert digest in content
    others = {"cut": content[:-1], "flip": content.replace(digest, digest[::-1]), "other": kept}
    victim.write_bytes(others[damage]) if damage in others else victim.unlink()
    expected = UsageError if damage == "absent" else DamagedFileError
    with pytest.raises(expected, match=r"rows/000001\.h5(.|\n)*`fercache extract --dataset NAME --encoder NAME`"):
        read_table(path)
    (problem,) = verify(path.parents[2])
    assert problem.path == path
    if damage == "flip":  # seen only when all is read
        victim.unlink()
    with writer(path, part_rows=PART_ROWS) as table:
        assert table.missing() == list(range(6, 12))
        for shard in table.missing():
            write_shard(table, shard)
        table.assemble({"date": "later"} | whole.provenance)
    assert part_path(path, 2).read_bytes() == kept
    assert_same(path, whole)


def test_a_part_of_another_table_is_refused(path: Path, whole: FeatureTable, tmp_path: Path) -> None:
    other = place(tmp_path / "other")
    table = writer(other, part_rows=PART_ROWS)
    named = {"classes": table.classes, "vote_columns": table.vote_columns, "rows": ROWS, "shard_rows": SHARD_ROWS}
    with TableWriter(other, identity=IDENTITY | {"dataset": "others"}, **named, part_rows=PART_ROWS) as table:
        for shard in table.missing():
            write_shard(table, shard)
        table.assemble({})
    part_path(path, 1).write_bytes(part_path(other, 1).read_bytes())
    with pytest.raises(DamagedFileError, match=f"it is not the file that {path.name} lists"):
        read_table(path)
    assert_same(write_table(path), whole)
    (aside,) = rows_folder(path).glob("*.damaged")
    assert aside.read_bytes() == part_path(other, 1).read_bytes()


def test_a_lost_list_is_written_again_from_the_parts(path: Path, whole: FeatureTable) -> None:
    path.unlink()
    (problem,) = [problem for problem in verify(path.parents[2]) if problem.path == rows_folder(path)]
    assert "the parts of a table" in problem.what
    with writer(path, shard_rows=7, part_rows=40) as table:
        assert table.missing() == []
        assert table.settled == SETTLED
        table.assemble(whole.provenance)
    assert_same(path, whole)


def test_rows_of_tables_in_parts_are_reused(path: Path, whole: FeatureTable, monkeypatch: pytest.MonkeyPatch) -> None:
    for small in (tables.SMALL, 0):
        monkeypatch.setattr(tables, "SMALL", small)
        known = KnownFeatures([read_info(path)], "clean")
        assert len(known) == len(whole.columns)
        for reader in (known, known.in_memory()):
            found = [reader.get(digest.tobytes()) for digest in whole.columns.pixel_sha256]
            assert all((row == other).all() for row, other in zip(found, whole.columns.features["clean"], strict=True))
    part_path(path, 0).unlink()
    assert KnownFeatures([read_info(path)], "clean").get(bytes(32)) is None


def test_parts_without_a_readable_image(tmp_path: Path) -> None:
    """The third shard has none, so a part of one shard is empty."""
    path = write_table(place(tmp_path), part_rows=SHARD_ROWS)
    assert [part.rows for part in read_info(path).parts][2] == 0
    assert len(read_table(path).columns) == sum(not is_unreadable(row) for row in range(ROWS))


JOINED = 3 * (SHARDS + PARTS)
"""Phases before the list of parts is written; it has no phase of writing rows."""
STRIKES = [*range(3 * SHARDS + 3, 3 * SHARDS + 6), JOINED - 1, JOINED, JOINED + 1]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill without warning")
@pytest.mark.parametrize("strike", STRIKES)
def test_killed_and_resumed_equals_undisturbed(tmp_path: Path, whole: FeatureTable, strike: int) -> None:
    path = place(tmp_path)
    command = [sys.executable, "-m", "tests.store.made_tables", str(path), str(strike), str(PART_ROWS)]
    killed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert killed.stdout.startswith(("part ", "assembly: "))
    assert find_tables(path.parents[2]) == ([read_info(path)] if path.exists() else [])
    if not path.exists():
        with writer(path, part_rows=PART_ROWS) as table:
            assert table.missing() == [], "a finished shard is lost"
    assert_same(write_table(path, part_rows=PART_ROWS), whole)
    assert {file.suffix for file in path.parent.iterdir()} == {".h5", ".csv", ".rows"}
    assert list(path.parent.rglob("*.tmp")) == []
