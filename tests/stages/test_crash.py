"""kill -9 during `extract`, at logged phases; the resumed table equals an undisturbed one, array by array.

Children are forked from a process that has imported everything but computed nothing: safe, and it saves the import.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fercache.store.tables import read_table

KILLS = 20
FACES, SHARD_ROWS = 105, 5

CHILDREN = """
import json, logging, os, signal, sys
from pathlib import Path
from fercache import EncoderRequest, ExtractRequest, Settings, extract
import fercache.encoders.bundled, open_clip, torch

torch.set_num_threads(1)
root, work, jobs = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])

class Phases(logging.Handler):
    def __init__(self, file, fatal):
        super().__init__()
        self.file, self.fatal, self.count = file, fatal, 0
    def emit(self, record):
        print(record.getMessage(), file=self.file, flush=True)
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

def child(name, fatal):
    log = (work / f"{name}.log").open("a")
    logger = logging.getLogger("fercache.phases")
    logger.setLevel(logging.DEBUG)
    logger.handlers = [Phases(log, fatal)]
    settings = Settings(cache=work / name)
    exact = EncoderRequest(precision="fp32")  # auto measures speeds, which differ from child to child
    extract(settings, ExtractRequest("folder:faces", root, exact, batch_size=8, shard_rows=int(sys.argv[4])))

for name, fatal in jobs:
    if os.fork() == 0:
        try:
            child(name, fatal)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


def in_children(root: Path, work: Path, jobs: list[tuple[str, int]]) -> list[int]:
    """Exit codes of one extraction per job: (name of its cache, number of the phase at which it is killed or -1)."""
    command = [sys.executable, "-c", CHILDREN, str(root), str(work), json.dumps(jobs), str(SHARD_ROWS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_killed_anywhere_the_table_is_the_same(tmp_path: Path, studio_folder: Path) -> None:
    root = tmp_path / "faces"
    root.mkdir()
    _copy(studio_folder, root)
    assert in_children(root, tmp_path, [("whole", -1)]) == [0]
    phases = (tmp_path / "whole.log").read_text().splitlines()
    assert len({phase for phase in phases if phase.startswith("shard")}) >= 20 * 3
    fatal = sorted({int(k) for k in np.linspace(0, len(phases) - 1, KILLS - 4)} | _rare(phases))
    hit = {phases[k].partition(": ")[2] for k in fatal}
    assert {"encoding", "writing", "before rename"} <= hit
    assert {"assembly: writing", "assembly: before rename"} <= {phases[k] for k in fatal}
    assert len(fatal) >= KILLS
    jobs = [job for k in fatal for job in ((f"killed-{k}", k), (f"killed-{k}", -1))]
    assert in_children(root, tmp_path, jobs) == [-9, 0] * len(fatal)
    whole = _table(tmp_path / "whole")
    for k in fatal:
        _assert_equal(_table(tmp_path / f"killed-{k}"), whole)
        assert not list((tmp_path / f"killed-{k}").rglob("*.parts")), "parts are left behind"


def _copy(studio: Path, root: Path) -> None:
    pictures = sorted(studio.rglob("*.png"))[:FACES]
    for picture in pictures:
        folder = root / picture.parent.name
        folder.mkdir(exist_ok=True)
        (folder / picture.name).write_bytes(picture.read_bytes())


def _rare(phases: list[str]) -> set[int]:
    """The first of each kind of phase within a shard, and every phase of the assembly."""
    of_shards = [(k, phase) for k, phase in enumerate(phases) if phase.startswith("shard")]
    firsts = {phase.partition(": ")[2]: k for k, phase in reversed(of_shards)}
    return set(firsts.values()) | {k for k, phase in enumerate(phases) if phase.startswith("assembly")}


def _table(cache: Path):
    (path,) = (cache / "features" / "bundled").glob("*.h5")
    return read_table(path)


def _assert_equal(one, other) -> None:
    assert one.identity == other.identity
    for name in ("id", "split", "subject", "group", "label", "file_sha256", "pixel_sha256"):
        np.testing.assert_array_equal(getattr(one.columns, name), getattr(other.columns, name))
    assert one.columns.features.keys() == other.columns.features.keys()
    for view in one.columns.features:
        np.testing.assert_array_equal(one.columns.features[view], other.columns.features[view])
