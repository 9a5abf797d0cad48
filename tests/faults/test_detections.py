"""kill -9 of `extract --faces` while detections are written: what was written is not searched again.

Children are forked, as in `kills`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fercache.store.detections import read_detections
from fercache.store.tables import FeatureTable, read_table
from tests.conftest import REPOSITORY
from tests.extraction.squares import save_photographs
from tests.faults.kills import same

PHOTOGRAPHS, AT_ONCE = 12, 3
CHILDREN = f"""
import json, logging, os, signal, sys
from pathlib import Path
from fercache import EncoderRequest, ExtractRequest, Settings, extract, registry, use_plugins
from fercache.detectors import load_detector
from fercache.extraction import photographs
from tests.extraction.squares import FILE
from tests.pixel_encoder import PixelEncoder
import fercache.stages.extract, fercache.extraction.local

use_plugins([FILE])
registry.encoder_family = lambda name: PixelEncoder
photographs.AT_ONCE = {AT_ONCE}
squares = type(load_detector("squares"))
root, work = Path(sys.argv[1]), Path(sys.argv[2])

class Phases(logging.Handler):
    def __init__(self, fatal):
        super().__init__()
        self.fatal, self.phases = fatal, []
    def emit(self, record):
        self.phases.append(record.getMessage())
        if len(self.phases) - 1 == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)

def child(name, fatal):
    phases = Phases(fatal)
    logger = logging.getLogger("fercache.phases")
    logger.setLevel(logging.DEBUG)
    logger.handlers = [phases]
    asked = dict(dataset="folder:party", root=root, faces="squares", which="all", encoder=EncoderRequest(name="pixels"))
    extract(Settings(cache=work / name), ExtractRequest(**asked, shifted=False))
    (work / name / "done.json").write_text(json.dumps([squares.searched, phases.phases]))

for line in sys.stdin:
    name, fatal = json.loads(line)
    if os.fork() == 0:
        try:
            child(name, fatal)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_killed_anywhere_only_the_rest_is_searched(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    list(save_photographs(root / "happy", PHOTOGRAPHS))
    command = [sys.executable, "-c", CHILDREN, str(root), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True, cwd=tmp_path) as children:
        assert children.stdin is not None and children.stdout is not None

        def run(name: str, fatal: int) -> int:
            assert children.stdin is not None and children.stdout is not None
            print(json.dumps([name, fatal]), file=children.stdin, flush=True)
            return int(children.stdout.readline())

        assert run("whole", -1) == 0
        searched, phases = json.loads((tmp_path / "whole" / "done.json").read_text())
        assert searched == PHOTOGRAPHS
        fatal = [number for number, phase in enumerate(phases) if phase.startswith("detections: ")]
        assert len(fatal) == 3 * PHOTOGRAPHS // AT_ONCE  # writing, before rename, done
        for number in (fatal[0], fatal[2], fatal[4], fatal[-1]):
            name = f"killed-{number}"
            assert run(name, number) == -9
            kept = sum(len(read_detections(path)[1]) for path in (tmp_path / name).rglob("detections/*/*.h5"))
            assert kept == (fatal.index(number) + 1) // 3 * AT_ONCE
            assert run(name, -1) == 0
            assert json.loads((tmp_path / name / "done.json").read_text())[0] == PHOTOGRAPHS - kept
            assert same(only_table(tmp_path / name), only_table(tmp_path / "whole"))


def only_table(cache: Path) -> FeatureTable:
    (path,) = cache.glob("features/*/*.h5")
    return read_table(path)
