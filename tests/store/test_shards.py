"""Shards survive, agree, and become one table."""

import csv
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fercache.errors import FercacheError, UsageError
from fercache.store.schema import Quarantined
from fercache.store.shards import TableWriter
from fercache.store.tables import lock_path, parts_folder, quarantine_path, read_table
from tests.store.made_tables import (
    CLASSES,
    IDENTITY,
    KEY,
    PROVENANCE,
    ROWS,
    SETTLED,
    SHARD_ROWS,
    VOTE_COLUMNS,
    assert_equal,
    columns,
    is_unreadable,
    place,
    write_shard,
    write_table,
    writer,
)

SHARDS = ROWS // SHARD_ROWS


def shard(path: Path, number: int) -> Path:
    return parts_folder(path) / f"{number:06d}.h5"


def begin(path: Path, *shards: int) -> None:
    with writer(path) as table:
        for number in shards:
            write_shard(table, number)


def test_nothing_but_the_table_and_its_quarantine_list_is_left(tmp_path: Path) -> None:
    path = write_table(place(tmp_path))
    assert set(path.parent.iterdir()) == {path, quarantine_path(path)}
    with quarantine_path(path).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    unreadable = [[f"{row}.png", 'broken, "really"'] for row in range(ROWS) if is_unreadable(row)]
    assert rows == [["id", "reason"], *unreadable]


def test_no_quarantine_list_when_all_could_be_read(tmp_path: Path) -> None:
    path = place(tmp_path)
    path.parent.mkdir(parents=True)
    quarantine_path(path).write_text("of an earlier time")
    with writer(path, rows=6, shard_rows=4) as table:
        for number in table.missing():
            table.write(number, columns(table.rows_of(number)), [], SETTLED)
        table.assemble(PROVENANCE)
    assert list(path.parent.iterdir()) == [path]


def test_order_of_writing_and_size_of_shards_change_nothing(tmp_path: Path) -> None:
    tables = [write_table(place(tmp_path / "a")), write_table(place(tmp_path / "b"), shard_rows=50)]
    path = place(tmp_path / "c")
    with writer(path) as table:
        for number in reversed(table.missing()):
            write_shard(table, number)
        tables.append(table.assemble(PROVENANCE))
    assert len({path.read_bytes() for path in tables}) == 1


def test_phases_are_logged_in_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "fercache.phases"):
        write_table(place(tmp_path), rows=10)
    names = ["shard 0", "shard 1", "assembly"]
    assert caplog.messages == [f"{name}: {what}" for name in names for what in ("writing", "before rename", "done")]


def test_resumes_with_the_shards_that_are_there(tmp_path: Path) -> None:
    path = place(tmp_path)
    begin(path, 1, 4)
    before = shard(path, 4).read_bytes()
    with writer(path, shard_rows=ROWS) as table:
        assert table.shard_count == SHARDS
        assert table.missing() == [number for number in range(SHARDS) if number not in (1, 4)]
        assert table.settled == SETTLED
        assert table.rows_of(4) == range(20, 25)
        assert shard(path, 4).read_bytes() == before
        with pytest.raises(ValueError, match="18 shards are still missing"):
            table.assemble(PROVENANCE)
    assert not path.exists()


@pytest.mark.parametrize("damage", [b"", b"noise", "cut", "flip", "other"])
def test_a_damaged_shard_is_set_aside_and_done_again(tmp_path: Path, damage: object) -> None:
    path = place(tmp_path)
    begin(path, 0, 1, 3)
    victim = shard(path, 1)
    whole = victim.read_bytes()
    hashes = columns([5]).pixel_sha256.tobytes()
    assert hashes in whole
    kinds = {"cut": whole[:-1], "flip": whole.replace(hashes, hashes[::-1]), "other": shard(path, 3).read_bytes()}
    victim.write_bytes(kinds[damage] if isinstance(damage, str) else damage)
    with writer(path) as table:
        assert 1 in table.missing()
        assert victim.with_name("000001.h5.damaged").exists()
    assert_equal(read_table(write_table(path)).columns, columns(r for r in range(ROWS) if not is_unreadable(r)))


def test_leftovers_of_dead_writers_are_removed(tmp_path: Path) -> None:
    path = place(tmp_path)
    begin(path, 0)
    dead = [path.with_name(f"{path.name}.12-ab.tmp"), parts_folder(path) / "000001.h5.12-ab.tmp"]
    other = path.with_name("another-table.h5.12-ab.tmp")
    for file in (*dead, other):
        file.write_bytes(b"half")
    with writer(path):
        assert not any(file.exists() for file in dead)
    assert other.exists()


def test_a_finished_table_is_left_alone(tmp_path: Path) -> None:
    path = write_table(place(tmp_path))
    before = path.read_bytes()
    parts_folder(path).mkdir()
    (parts_folder(path) / "000000.h5").write_bytes(b"half removed")
    with writer(path) as table:
        assert table.missing() == []
        assert table.assemble({"date": "later"}) == path
    assert path.read_bytes() == before
    assert not parts_folder(path).exists()


def test_a_damaged_table_is_set_aside_and_written_again(tmp_path: Path) -> None:
    path = write_table(place(tmp_path))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert write_table(path).read_bytes() == whole
    assert path.with_name(f"{path.name}.damaged").read_bytes() == whole[:-1]


def test_a_damaged_plan_is_replaced_and_fitting_shards_are_kept(tmp_path: Path) -> None:
    path = place(tmp_path)
    begin(path, 0, 2)
    (parts_folder(path) / "plan.json").write_text("{")
    with writer(path) as table:
        assert len(table.missing()) == SHARDS - 2


def test_the_place_of_another_table_is_refused(tmp_path: Path) -> None:
    def other(path: Path, **changes: object) -> TableWriter:
        same = {"identity": IDENTITY, "classes": CLASSES, "vote_columns": VOTE_COLUMNS, "rows": ROWS}
        return TableWriter(path, **(same | changes))

    path = place(tmp_path)
    begin(path, 0)
    for changes in (
        {"identity": {"dataset": "x"}},
        {"rows": ROWS + 1},
        {"classes": CLASSES[::-1]},
        {"vote_columns": ()},
    ):
        with pytest.raises(UsageError, match="shards of another table"):
            other(path, **changes).__enter__()
    write_table(path)
    with pytest.raises(UsageError, match=f"another table.*{KEY}"):
        other(path, identity={"dataset": "x"}).__enter__()
    assert not lock_path(path).exists(), "a refusal lets the lock go"


def test_shards_that_disagree_are_refused(tmp_path: Path) -> None:
    with writer(place(tmp_path), rows=10) as table:
        with pytest.raises(ValueError, match=r"covers 5 rows, not 4 \+ 0"):
            table.write(0, columns(range(4)), [], SETTLED)
        with pytest.raises(ValueError, match="0 columns of votes"):
            table.write(0, replace(columns(range(5)), votes=None), [], SETTLED)
        table.write(0, columns(range(5)), [], SETTLED)
        with pytest.raises(ValueError, match="settled"):
            table.write(1, columns(range(5, 10)), [], {"batch_size": 9})
        assert table.missing() == [1]


@pytest.mark.parametrize(
    "views", [{"clean": np.zeros((5, 7), np.float16)}, {}, {"clean": np.zeros((5, 6), np.float32)}]
)
def test_features_of_two_shapes_make_no_table(tmp_path: Path, views: dict[str, np.ndarray]) -> None:
    with writer(place(tmp_path), rows=10) as table:
        table.write(0, columns(range(5)), [], SETTLED)
        features = columns(range(5, 10)).features
        table.write(1, replace(columns(range(5, 10)), features=features | views if views else {}), [], SETTLED)
        with pytest.raises(FercacheError, match=r"000001\.h5 (has|and earlier shards differ)"):
            table.assemble(PROVENANCE)


def test_no_table_without_any_readable_image(tmp_path: Path) -> None:
    path = place(tmp_path)
    with writer(path, rows=2) as table:
        table.write(0, columns([]), [Quarantined("0.png", "empty"), Quarantined("1.png", "empty")], SETTLED)
        with pytest.raises(FercacheError, match=r"None of the 2 images .*quarantine\.csv has the reasons"):
            table.assemble(PROVENANCE)
    assert not path.exists()
    assert "1.png,empty" in quarantine_path(path).read_text()
