"""Finished tables: what was written is read, what another table has is found, what is damaged is refused."""

import json
import logging
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from fercache.errors import UsageError
from fercache.identity import canonical_json, key_of
from fercache.store import tables
from fercache.store.asked import note_asked
from fercache.store.sealed import save_sealed
from fercache.store.tables import TABLE, KnownFeatures, find_tables, read_info, read_table, table_path
from tests.store.damage import damaged, damages
from tests.store.made_tables import (
    CLASSES,
    IDENTITY,
    KEY,
    PROVENANCE,
    ROWS,
    VOTE_COLUMNS,
    assert_equal,
    columns,
    is_unreadable,
    place,
    write_table,
)

KEPT = [row for row in range(ROWS) if not is_unreadable(row)]


def forged(path: Path, identity: object = IDENTITY, arrays: object = None, **attributes: object) -> Path:
    """A file under a valid seal that need not make sense."""
    plain = {"key": KEY, "identity": canonical_json(identity), "provenance": "{}", "quarantined": 0}
    plain |= {"classes": canonical_json(CLASSES), "vote_columns": canonical_json(VOTE_COLUMNS)}
    return save_sealed(path, TABLE, plain | attributes, columns(range(4)).arrays() if arrays is None else arrays)


def test_round_trip(tmp_path: Path) -> None:
    path = write_table(place(tmp_path))
    assert path == tmp_path / "features" / "made" / f"numbers-{KEY[:8]}.h5"
    table = read_table(path)
    assert (table.path, table.key, table.identity, table.provenance) == (path, KEY, IDENTITY, PROVENANCE)
    assert (table.classes, table.vote_columns, table.quarantined) == (CLASSES, VOTE_COLUMNS, ROWS - len(KEPT))
    assert_equal(table.columns, columns(KEPT))
    info = read_info(path)
    assert (info.rows, info.views, info.identity) == (len(KEPT), ("clean", "left"), IDENTITY)
    assert info.splits == set(columns(KEPT).split)


def test_an_absent_table_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fercache extract"):
        read_table(table_path(tmp_path, "made", "numbers", KEY))


@pytest.mark.parametrize("name", ["id", "label", "pixel_sha256", "votes", "features/clean"])
@pytest.mark.parametrize("change", ["missing", "short", "type", "deep"])
def test_refuses_columns_that_make_no_table(tmp_path: Path, name: str, change: str) -> None:
    arrays = columns(range(4)).arrays()
    array = arrays.pop(name)
    changed = {"short": array[:-1], "type": np.zeros(array.shape, np.float64), "deep": np.zeros((4, 2, 2), np.int16)}
    if change == "missing":
        arrays.pop("features/left")
    else:
        arrays[name] = changed[change]
    with pytest.raises(UsageError, match="not a usable feature table"):
        read_table(forged(tmp_path / "table.h5", arrays=arrays))


def test_refuses_an_identity_without_encoder(tmp_path: Path) -> None:
    identity = {"dataset": "numbers"}
    with pytest.raises(UsageError, match="its identity has no encoder"):
        read_info(forged(tmp_path / "table.h5", identity, key=key_of(identity)))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_what_is_no_file_is_no_table(tmp_path: Path) -> None:
    path = forged(place(tmp_path))
    (path.parent / "dangling.h5").symlink_to(tmp_path / "nowhere")
    os.mkfifo(path.parent / "pipe.h5")
    assert [info.path for info in find_tables(tmp_path)] == [path]


@pytest.mark.parametrize(
    "attributes",
    [
        {"key": "0" * 64},
        {"identity": "[1]"},
        {"identity": "{"},
        {"classes": '["happiness"]'},
        {"classes": "7"},
        {"classes": "[1, 2, 3]"},
        {"vote_columns": "[]"},
        {"provenance": "7"},
        {"quarantined": "many"},
    ],
    ids=str,
)
def test_refuses_attributes_that_make_no_table(tmp_path: Path, attributes: dict[str, object]) -> None:
    read_table(forged(tmp_path / "right.h5"))
    with pytest.raises(UsageError, match="not a usable feature table"):
        read_table(forged(tmp_path / "table.h5", **attributes))


@given(damage=damages)
@settings(max_examples=50, deadline=None)
def test_damage_is_refused_or_harmless(tmp_path_factory: pytest.TempPathFactory, damage: tuple[str, object]) -> None:
    path = forged(tmp_path_factory.mktemp("damage") / "table.h5")
    path.write_bytes(damaged(path.read_bytes(), damage))
    for read in (read_info, read_table):
        try:
            found = read(path)
        except UsageError:
            continue
        assert found.identity == IDENTITY
        if read is read_table:
            assert_equal(found.columns, columns(range(4)))


def test_finds_tables_newest_first_and_skips_the_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = place(tmp_path).parent
    for year, name in ((2021, "broken"), (2022, "old"), (2023, "new")):
        path = forged(folder / f"{name}.h5", provenance=json.dumps({"date": f"{year}-01-01T00:00:00+00:00"}))
        os.utime(path, (1e9 - year, 1e9 - year))  # as a copied cache has them, or a clock that was wrong
    (folder / "broken.h5").write_bytes((folder / "new.h5").read_bytes()[:-50])
    (folder / "unfinished.h5.1-2.tmp").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert [info.path.stem for info in find_tables(tmp_path)] == ["new", "old"]
    assert "broken.h5" in caplog.text
    note_asked(folder / "old.h5")
    assert [info.path.stem for info in find_tables(tmp_path)] == ["old", "new"]
    assert find_tables(tmp_path / "nowhere") == []


def settled(path: Path) -> Path:
    """The file, with a time that lies some moments back."""
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns - 10**9))
    time.sleep(1.5 * tables.MOMENT / 1e9)
    return path


def test_tables_that_have_not_changed_are_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = settled(write_table(place(tmp_path)))
    first = find_tables(tmp_path)
    splits = first[0].splits
    monkeypatch.setattr(tables, "opened", lambda *file: pytest.fail("it is opened again"))
    note_asked(path)
    (second,) = find_tables(tmp_path)
    assert second.asked > first[0].asked
    assert (second.identity, second.rows, second.splits) == (first[0].identity, len(KEPT), splits)


@pytest.mark.parametrize("keeps_its_time", [False, True])
def test_a_table_that_has_changed_is_read_again(tmp_path: Path, keeps_its_time: bool) -> None:
    path = settled(forged(place(tmp_path)))
    before, written = read_info(path), path.stat()
    other = forged(tmp_path / "other.h5", provenance='{"a": 1}')
    if keeps_its_time:
        os.utime(other, ns=(written.st_atime_ns, written.st_mtime_ns))
    other.replace(path)
    assert (before.provenance, read_info(path).provenance) == ({}, {"a": 1})
    settled(path)
    assert read_info(path).provenance == {"a": 1}
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'{"a": 1}', b'{"a": 2}'))
    with pytest.raises(UsageError):
        read_info(path)


def test_known_features_by_image(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = columns(range(400))
    other = columns(range(390, 800))
    other.features["clean"][:10] = 0
    for name, rows in (("first", first), ("other", other)):
        arrays = rows.arrays()
        forged(tmp_path / f"{name}.h5", arrays=arrays)
    infos = [read_info(tmp_path / f"{name}.h5") for name in ("first", "other")]
    known = KnownFeatures(infos, "clean")
    expected = columns(range(800))
    for row in range(800):
        found = known.get(expected.pixel_sha256[row].tobytes())
        np.testing.assert_array_equal(found, expected.features["clean"][row])
    assert known.get(bytes(32)) is None
    assert known.get(b"\xff" * 32) is None
    assert KnownFeatures(infos, "right").get(first.pixel_sha256[0].tobytes()) is None
    assert KnownFeatures([], "clean").get(bytes(32)) is None


def test_damaged_features_are_not_used_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = forged(tmp_path / "table.h5")
    info = read_info(path)
    wanted = columns(range(4)).pixel_sha256[0].tobytes()
    assert KnownFeatures([info], "clean").get(wanted) is not None
    data, features = path.read_bytes(), columns(range(4)).features["clean"].tobytes()
    path.write_bytes(data.replace(features, features[::-1]))
    with caplog.at_level(logging.WARNING):
        assert KnownFeatures([info], "clean").get(wanted) is None
    assert "table.h5" in caplog.text
