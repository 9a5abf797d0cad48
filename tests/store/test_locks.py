"""One writer at a time; a dead process releases its lock."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fercache.errors import FercacheError
from fercache.store.locks import holder, holding
from fercache.store.tables import lock_path, read_table
from fercache.store.verify import verify
from tests.conftest import REPOSITORY
from tests.store.made_tables import place, write_table, writer


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that holds the table's lock, and the pid of the worker that it forked (0 where nothing forks)."""
    command = [sys.executable, "-m", "tests.store.made_tables", str(place(tmp_path)), "hold"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        word, worker = process.stdout.readline().split()
        assert word == "holding"
        yield process, int(worker)
        process.kill()
        if int(worker):
            os.kill(int(worker), signal.SIGTERM)


def test_the_second_process_says_who_holds_the_table(
    tmp_path: Path, other_process: tuple[subprocess.Popen[str], int]
) -> None:
    process, _ = other_process
    path = place(tmp_path)
    said = rf"{path.name} is being written by process {process.pid} on .+, since 20.+ \(made_tables\.py .* hold\)"
    with pytest.raises(FercacheError, match=said + r"\. Wait until"):
        writer(path).__enter__()
    assert holder(lock_path(path))["pid"] == process.pid
    assert verify(tmp_path) == [], "a table that is being written is no problem"


def test_a_killed_holder_lets_go_even_when_its_worker_lives_on(
    tmp_path: Path, other_process: tuple[subprocess.Popen[str], int]
) -> None:
    process, worker = other_process
    process.kill()
    process.wait()
    if worker:
        os.kill(worker, 0)
    path = place(tmp_path)
    assert holder(lock_path(path)) is None
    assert json.loads(lock_path(path).read_text())["pid"] == process.pid
    with writer(path) as table:
        assert 0 not in table.missing(), "its finished shard is kept"
    assert read_table(write_table(path)).quarantined


def test_the_lock_is_held_to_the_end_and_then_gone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.lock"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), holding(path):
            assert holder(path)["pid"] == os.getpid()
            with pytest.raises(FercacheError, match="being written"), holding(path):
                pass
            raise KeyboardInterrupt
        assert not path.exists()
    assert holder(path) is None


def test_a_lock_file_removed_while_we_wait_is_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real, calls = tmp_path / "table.lock", fcntl.flock, []

    def removed_first(descriptor: int, operation: int) -> None:
        if not calls:
            path.unlink()
        calls.append(descriptor)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with holding(path):
        assert len(calls) == 2
        assert path.exists()


def test_a_forked_child_that_leaves_the_block_does_not_release_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "table.lock"
    child = 0
    with holding(path):
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            assert path.exists()
            assert holder(path)["pid"] == os.getpid()
    if not child:
        os._exit(0)


def test_an_unreadable_holder_is_still_a_holder(tmp_path: Path) -> None:
    path = tmp_path / "table.lock"
    with holding(path):
        path.write_text("[")
        assert holder(path) == {}
        with pytest.raises(FercacheError, match=r"written by process \? on \?"), holding(path):
            pass


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOLCK, "no file locks.*local disk"),
        (errno.ENOTSUP, "local disk"),
        (errno.ENOSYS, "local disk"),
        (errno.EIO, "Cannot"),
    ],
)
def test_a_file_system_without_locks_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(FercacheError, match=said), holding(tmp_path / "table.lock"):
        pass
