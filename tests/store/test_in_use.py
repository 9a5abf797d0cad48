"""Notes of what running commands need."""

import os
from pathlib import Path

import pytest

from fercache.errors import FercacheError
from fercache.store import in_use as module
from fercache.store.in_use import FOLDER, in_use, removing, using


def test_what_is_needed_is_noted_until_the_command_ends(tmp_path: Path) -> None:
    table = tmp_path / "features" / "table.h5"
    with using(tmp_path, [table]):
        assert in_use(tmp_path)[table.absolute()]["pid"] == os.getpid()
        with using(tmp_path, [tmp_path / "other"]):
            assert set(in_use(tmp_path)) == {table, tmp_path / "other"}
        assert set(in_use(tmp_path)) == {table}
    assert in_use(tmp_path) == {}
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["removal.lock"]


def test_nothing_needed_writes_nothing(tmp_path: Path) -> None:
    with using(tmp_path / "cache", []):
        assert not (tmp_path / "cache").exists()


def test_the_note_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    with using(tmp_path, [tmp_path / "table.h5"]):
        (note,) = (tmp_path / FOLDER).glob("*.json")
        text = note.read_text()
    note.write_text(text)
    note.with_suffix(".lock").touch()
    assert in_use(tmp_path) == {}
    with removing(tmp_path):
        assert not note.exists()


def test_nothing_begins_while_files_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    match = "has been removing files"
    with removing(tmp_path), pytest.raises(FercacheError, match=match), using(tmp_path, [tmp_path / "table.h5"]):
        pytest.fail("it began")
    with using(tmp_path, [tmp_path / "table.h5"]):
        pass
