"""A disk that fills up: a clear word, the shards kept, nothing half-written left."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fercache.errors import FercacheError
from fercache.store import atomic
from fercache.store.tables import parts_folder, read_table
from tests.conftest import REPOSITORY
from tests.store.made_tables import (
    PROVENANCE,
    ROWS,
    SHARD_ROWS,
    assert_equal,
    columns,
    is_unreadable,
    place,
    write_shard,
    write_table,
    writer,
)

LIMITED = """
import resource, sys
from pathlib import Path
from fercache.errors import FercacheError
from tests.store.made_tables import write_table

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    write_table(Path(sys.argv[1]))
except FercacheError as error:
    print(error)
"""


@pytest.mark.parametrize("strike", [0, 7, ROWS // SHARD_ROWS])
def test_no_space_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strike: int) -> None:
    path, real = place(tmp_path / "full"), atomic.sync_file

    def full(file: Path) -> None:
        if file.name.startswith((f"{strike:06d}.h5", path.name)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    monkeypatch.setattr(atomic, "sync_file", full)
    with pytest.raises(FercacheError, match=r"No room.*MiB free.*shards included, is kept"), writer(path) as table:
        for shard in table.missing():
            write_shard(table, shard)
        table.assemble(PROVENANCE)
    monkeypatch.undo()
    assert not path.exists()
    assert not list(path.parent.rglob("*.tmp"))
    with writer(path) as table:
        assert table.missing() == list(range(strike, ROWS // SHARD_ROWS))
    assert_equal(read_table(write_table(path)).columns, columns(row for row in range(ROWS) if not is_unreadable(row)))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
@pytest.mark.parametrize("share", [0.5, 0.75, 0.999])
def test_a_real_limit_in_the_middle_of_the_assembly(tmp_path: Path, share: float) -> None:
    whole = write_table(place(tmp_path / "whole"))
    path = place(tmp_path / "limited")
    limit = int(share * whole.stat().st_size)
    command = [sys.executable, "-c", LIMITED, str(path), str(limit)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"No room to write {path}"), done.stdout
    assert not path.exists()
    assert not list(path.parent.rglob("*.tmp"))
    assert len(list(parts_folder(path).glob("*.h5"))) == ROWS // SHARD_ROWS
    assert write_table(path).read_bytes() == whole.read_bytes()
