"""A file appears whole or not at all."""

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fercache.errors import FercacheError, UsageError
from fercache.records import find_records
from fercache.store import atomic
from fercache.store.atomic import entries, leftovers_of, remove_abandoned, replacing, set_aside, write_json, write_text
from fercache.store.crops import crop_files
from fercache.store.runs import find_runs
from fercache.store.tables import find_tables


def test_replaces_at_the_end_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "new" / "file.txt"
    with caplog.at_level(logging.DEBUG, "fercache.phases"), replacing(path, "file") as temporary:
        assert temporary.parent == path.parent
        temporary.write_text("whole")
        assert not path.exists()
        assert leftovers_of(path) == [temporary]
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]
    assert caplog.messages == ["file: before rename", "file: done"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = write_text(tmp_path / "file.txt", "old\n")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(FercacheError, match=r"No room to write .*MiB free.*kept.*same command again") as caught:
        write_json(tmp_path / "file.json", {"a": 1})
    assert not isinstance(caught.value, UsageError)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FercacheError, match="Cannot write"):
        write_text(tmp_path / "file" / "below.txt", "")


def test_a_damaged_file_keeps_its_bytes(tmp_path: Path) -> None:
    path = write_text(tmp_path / "file.h5", "broken")
    assert set_aside(path).read_text() == "broken"
    assert not path.exists()


def gone() -> int:
    """A process that has ended."""
    return int(subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=subprocess.PIPE).stdout)


def test_what_a_process_that_is_gone_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    process = gone()
    mine = atomic.temporary_beside(tmp_path / "run")
    host = mine.name.split("-")[1]
    left = [tmp_path / f"run.{process}-{host}-0a1b2c3d.tmp", tmp_path / "run" / f"a.json.{process}-0a1b2c3d.tmp"]
    kept = [mine, tmp_path / f"run.{process}-ffffff-0a1b2c3d.tmp", tmp_path / "notes.tmp", tmp_path / "run" / "done"]
    for path in (*left, *kept):
        path.mkdir(parents=True)
        (path / "weights").write_text("half")
    assert sorted(remove_abandoned(tmp_path)) == sorted(left)
    assert not any(path.exists() for path in left) and all(path.exists() for path in kept)
    assert remove_abandoned(tmp_path / "nowhere") == []


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="invalid character"):
        write_text(tmp_path / "a.txt", "a\udcff")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error", [PermissionError(errno.EACCES, "Permission denied"), OSError(errno.ELOOP, "Too many")]
)
def test_a_folder_that_cannot_be_read_is_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    (tmp_path / "features").mkdir()
    assert entries(tmp_path) == [tmp_path / "features"]
    assert entries(tmp_path / "absent") == []

    def refuse(self: Path) -> None:
        raise error

    monkeypatch.setattr(Path, "iterdir", refuse)
    for find in (find_tables, find_runs, find_records, crop_files):
        with pytest.raises(UsageError, match=f"Cannot read the folder {tmp_path}.*{error.strerror}"):
            find(tmp_path)
