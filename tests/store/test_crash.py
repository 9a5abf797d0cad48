"""Killed without warning at any phase, nothing finished is lost and nothing unfinished passes for finished."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fercache.store.tables import FeatureTable, find_tables, parts_folder, read_table
from tests.conftest import REPOSITORY
from tests.store.made_tables import ROWS, SHARD_ROWS, assert_equal, place, write_table, writer

SHARDS = ROWS // SHARD_ROWS
PHASES = ("writing", "before rename", "done")
STRIKES = [*range(0, 3 * SHARDS, 4), 1, 3 * SHARDS - 1, *range(3 * SHARDS, 3 * SHARDS + 3)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> FeatureTable:
    """The table, written without disturbance."""
    return read_table(write_table(place(tmp_path_factory.mktemp("whole"))))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill without warning")
@pytest.mark.parametrize("strike", STRIKES)
def test_killed_and_resumed_equals_undisturbed(tmp_path: Path, whole: FeatureTable, strike: int) -> None:
    path = place(tmp_path)
    command = [sys.executable, "-m", "tests.store.made_tables", str(path), str(strike)]
    killed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    shard, phase = divmod(strike, 3)
    name = f"shard {shard}" if shard < SHARDS else "assembly"
    assert killed.stdout == f"{name}: {PHASES[phase]}\n"
    assert_nothing_pretends(path, shard, phase)

    finished = SHARDS if shard == SHARDS else shard + (phase == 2)
    if not path.exists():
        with writer(path) as table:
            assert table.missing() == list(range(finished, SHARDS)), "a finished shard is lost"
    table = read_table(write_table(path))
    assert (table.identity, table.classes, table.quarantined) == (whole.identity, whole.classes, whole.quarantined)
    assert_equal(table.columns, whole.columns)
    assert {file.suffix for file in path.parent.iterdir()} == {".h5", ".csv"}


def assert_nothing_pretends(path: Path, shard: int, phase: int) -> None:
    """The half-written file is there under another name, which is not mistaken for the real one."""
    target = parts_folder(path) / f"{shard:06d}.h5" if shard < SHARDS else path
    halves = [file for file in target.parent.glob("*.tmp") if file.stat().st_size]
    assert target.exists() == (phase == 2)
    assert len(halves) == (phase < 2)
    assert [info.path for info in find_tables(path.parents[2])] == ([path] if path.exists() else [])


def test_strikes_are_many_and_of_every_kind() -> None:
    assert len(set(STRIKES)) >= 20 <= SHARDS
    assert {strike % 3 for strike in STRIKES if strike < 3 * SHARDS} == {0, 1, 2}
