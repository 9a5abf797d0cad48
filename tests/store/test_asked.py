"""What was asked for last is known whatever the files' own times are."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fercache.errors import FercacheError
from fercache.store import asked
from fercache.store.asked import NEVER, asked_path, last_asked, note_asked

FUTURE = datetime(2099, 1, 1, tzinfo=UTC)


def test_a_note_counts_and_so_does_what_a_file_says_itself(tmp_path: Path) -> None:
    path = tmp_path / "table.h5"
    assert last_asked(path) == NEVER
    assert last_asked(path, "2026-01-02") == datetime(2026, 1, 2, tzinfo=UTC)
    assert note_asked(path)
    assert last_asked(path) == last_asked(path, "2026-01-02") > datetime(2026, 1, 2, tzinfo=UTC)
    assert last_asked(path, FUTURE.isoformat()) == FUTURE


def test_what_is_asked_for_now_comes_after_all_others_whatever_the_clock_said(tmp_path: Path) -> None:
    note_asked(tmp_path / "table.h5", [FUTURE, NEVER])
    assert last_asked(tmp_path / "table.h5") > FUTURE


@pytest.mark.parametrize("text", ["", "soon", "\udcff", "2026-13-01"])
def test_a_note_that_is_none_counts_for_nothing(tmp_path: Path, text: str) -> None:
    asked_path(tmp_path / "table.h5").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert last_asked(tmp_path / "table.h5") == NEVER


def test_a_cache_that_is_only_read_stays_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(path: Path, text: str) -> Path:
        raise FercacheError("read-only file system")

    monkeypatch.setattr(asked, "write_text", read_only)
    assert not note_asked(tmp_path / "table.h5")
