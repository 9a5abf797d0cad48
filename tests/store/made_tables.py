"""Small tables whose every value follows from the row number, so that any two of them can be compared.

`python -m tests.store.made_tables TABLE KILL_AT [PART_ROWS]` writes one, perhaps in parts, and kills itself at the
given phase (none when negative).
`python -m tests.store.made_tables TABLE hold` takes the table's lock, forks a worker, says so, and waits.
"""

import hashlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fercache.identity import key_of
from fercache.store.schema import Columns, Quarantined
from fercache.store.shards import TableWriter
from fercache.store.tables import table_path

IDENTITY = {"encoder": {"name": "made"}, "dataset": "numbers", "views": ["clean", "left"]}
KEY = key_of(IDENTITY)
CLASSES = ("happiness", "sadness", "neutral")
VOTE_COLUMNS = ("crowd:happiness", "crowd:sadness")
PROVENANCE = {"date": "2026-01-01", "device": "none"}
SETTLED = {"batch_size": 8}
ROWS, SHARD_ROWS = 100, 5


def place(cache: Path) -> Path:
    """Where the table goes."""
    return table_path(cache, "made", "numbers", KEY)


def is_unreadable(row: int) -> bool:
    """Every seventh image, and all of the third shard."""
    return row % 7 == 3 or 10 <= row < 15


def columns(rows: Iterable[int]) -> Columns:
    """The columns of some rows."""
    numbers = list(rows)
    random = [np.random.default_rng(row) for row in numbers]
    return Columns(
        id=np.array([f"{row}{'é' * (row % 4)}.png" for row in numbers], dtype=object),
        split=np.array([("train", "test")[row % 2] for row in numbers], dtype=object),
        subject=np.array(["" for _ in numbers], dtype=object),
        group=np.array([f"age={row}" for row in numbers], dtype=object),
        label=np.array([row % 4 - 1 for row in numbers], dtype=np.int16),
        votes=np.array([(row, -1) for row in numbers], dtype=np.int16).reshape(-1, 2),
        features={
            "clean": np.array([g.standard_normal(6) for g in random], dtype=np.float16).reshape(-1, 6),
            "left": np.array([g.standard_normal(6) for g in random], dtype=np.float32).reshape(-1, 6),
        },
        file_sha256=_digests(f"file {row}" for row in numbers),
        pixel_sha256=_digests(f"pixels {row}" for row in numbers),
    )


def _digests(texts: Iterable[str]) -> np.ndarray:
    digests = b"".join(hashlib.sha256(text.encode()).digest() for text in texts)
    return np.frombuffer(digests, dtype=np.uint8).reshape(-1, 32)


def writer(path: Path, rows: int = ROWS, shard_rows: int = SHARD_ROWS, part_rows: int = ROWS) -> TableWriter:
    """A writer of the table."""
    sizes = {"rows": rows, "shard_rows": shard_rows, "part_rows": part_rows}
    return TableWriter(path, identity=IDENTITY, classes=CLASSES, vote_columns=VOTE_COLUMNS, **sizes)


def write_shard(table: TableWriter, shard: int) -> None:
    """Write one shard."""
    rows = table.rows_of(shard)
    out = [Quarantined(f"{row}.png", 'broken, "really"') for row in rows if is_unreadable(row)]
    table.write(shard, columns(row for row in rows if not is_unreadable(row)), out, SETTLED)


def write_table(path: Path, rows: int = ROWS, shard_rows: int = SHARD_ROWS, part_rows: int = ROWS) -> Path:
    """Write what is missing of the table."""
    with writer(path, rows, shard_rows, part_rows) as table:
        for shard in table.missing():
            write_shard(table, shard)
        return table.assemble(PROVENANCE)


def assert_equal(one: Columns, other: Columns) -> None:
    """Both have the same columns, bit by bit."""
    mine, theirs = one.arrays(), other.arrays()
    assert mine.keys() == theirs.keys()
    for name, array in mine.items():
        assert array.dtype == theirs[name].dtype
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


class KillAt(logging.Handler):
    """Kills its own process, without any chance to clean up, when it hears the `fatal`-th phase."""

    def __init__(self, fatal: int) -> None:
        super().__init__()
        self.left = fatal

    def emit(self, record: logging.LogRecord) -> None:
        if self.left == 0:
            print(record.getMessage(), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


def _hold(path: Path) -> None:
    with writer(path) as table:
        write_shard(table, 0)
        has_worker = hasattr(os, "fork")
        if not has_worker or os.fork() == 0:
            print(f"holding {os.getpid() if has_worker else 0}", flush=True)
        time.sleep(60)


if __name__ == "__main__":
    target, what = Path(sys.argv[1]), sys.argv[2]
    if what == "hold":
        _hold(target)
    else:
        os.fsync = lambda descriptor: None  # the system outlives the kill, and so do files that it has not flushed
        phases = logging.getLogger("fercache.phases")
        phases.setLevel(logging.DEBUG)
        phases.addHandler(KillAt(int(what)))
        write_table(target, part_rows=int(sys.argv[3]) if len(sys.argv) > 3 else ROWS)
