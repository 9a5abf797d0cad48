"""kill -9 of `extract` at its logged phases, and of the run that goes on from there.

Children are forked from a process that has loaded everything and started no thread: safe, and it saves the start.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fercache.store.tables import FeatureTable, read_table
from tests.conftest import REPOSITORY

FACES, SHARD_ROWS = 30, 5
WHOLE = -1

CHILDREN = """
import json, logging, os, signal, sys
from pathlib import Path
import torch

torch.set_num_threads(1)
from fercache import EncoderRequest, ExtractRequest, Settings, extract, registry
from fercache.encoders.bundled import Bundled, reference
import fercache.stages.extract

exact = EncoderRequest(precision="fp32", device="cpu")  # auto measures speeds, which differ from child to child
encoder = Bundled.load(exact)
Bundled.load = classmethod(lambda cls, request: encoder)
reference.trusted = lambda request: (request, "")  # it would encode, and its own test is elsewhere
root, work, rows = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

class Phases(logging.Handler):
    def __init__(self, file, fatal):
        super().__init__()
        self.file, self.fatal, self.count = file, fatal, 0
    def emit(self, record):
        print(record.getMessage(), file=self.file, flush=True)
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

def child(name, run, fatal):
    logger = logging.getLogger("fercache.phases")
    logger.setLevel(logging.DEBUG)
    logger.handlers = [Phases((work / f"{name}.{run}.log").open("w"), fatal)]
    request = ExtractRequest(dataset="folder:faces", root=root, encoder=exact, batch_size=8, shard_rows=rows)
    extract(Settings(cache=work / name), request)

for line in sys.stdin:
    name, fatal = json.loads(line)
    codes = []
    for run, phase in enumerate(fatal):
        if os.fork() == 0:
            try:
                child(name, run, phase)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        codes.append(os.waitstatus_to_exitcode(os.wait()[1]))
    print(json.dumps(codes), flush=True)
"""


@dataclass(frozen=True)
class Trial:
    """The phases at which one run after another is killed, by number; the last, WHOLE, is not."""

    name: str
    fatal: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """The phase at which each run was killed, and whether the table in the end is the undisturbed one."""

    trial: Trial
    struck: tuple[str, ...]
    identical: bool


def prepare(work: Path, images: Sequence[Path]) -> tuple[Path, FeatureTable, list[str]]:
    """A folder of faces, its undisturbed table, and the phases that are gone through."""
    root = work / "faces"
    for image in sorted(images)[:FACES]:
        (root / image.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(image, root / image.parent.name)
    whole = Trial("whole", (WHOLE,))
    for _ in _codes(root, work, [whole]):
        pass
    return root, _table(work / "whole"), (work / "whole.0.log").read_text().splitlines()


def attempted(root: Path, work: Path, trials: Sequence[Trial], whole: FeatureTable) -> Iterator[Outcome]:
    """Does one trial after another; what each leaves is removed."""
    for trial, codes in zip(trials, _codes(root, work, trials), strict=True):
        logs = [(work / f"{trial.name}.{run}.log").read_text().splitlines() for run in range(len(trial.fatal))]
        struck = tuple(log[-1] for log, code in zip(logs, codes, strict=True) if code == -9)
        left = [*(work / trial.name).rglob("*.parts"), *(work / trial.name).rglob("*.tmp")]
        yield Outcome(trial, struck, codes[-1] == 0 and not left and same(_table(work / trial.name), whole))
        shutil.rmtree(work / trial.name)


def kind_of(phase: str) -> str:
    """A phase without the number of its shard."""
    what, _, step = phase.partition(": ")
    return f"shard: {step}" if what.startswith("shard") else phase


def same(one: FeatureTable, other: FeatureTable) -> bool:
    """Array by array."""
    ours, theirs = one.columns.arrays(), other.columns.arrays()
    return (
        one.identity == other.identity
        and ours.keys() == theirs.keys()
        and all(np.array_equal(ours[name], theirs[name]) for name in ours)
    )


def _codes(root: Path, work: Path, trials: Sequence[Trial]) -> Iterator[list[int]]:
    """Exit codes of the runs of each trial."""
    command = [sys.executable, "-c", CHILDREN, str(root), str(work), str(SHARD_ROWS)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        for trial in trials:
            if (work / "whole" / "prompts").is_dir():  # their embedding is no part of what is tried, and takes longest
                shutil.copytree(work / "whole" / "prompts", work / trial.name / "prompts")
            process.stdin.write(json.dumps([trial.name, trial.fatal]) + "\n")
            process.stdin.flush()
            yield json.loads(process.stdout.readline())
        process.stdin.close()


def _table(cache: Path) -> FeatureTable:
    (path,) = (cache / "features" / "bundled").glob("*.h5")
    return read_table(path)
