"""`python -m tests.reporting.many_runs FOLDER` writes a cache with 500 runs and their 3,000 predictions.

For measuring: in that folder, `fercache compare`, `compare --baseline RUN` and `cache verify`.
"""

import sys
from pathlib import Path

import numpy as np

from fercache.records import write_record
from tests.fake_records import SETTINGS
from tests.reporting.fake_predictions import readings, scored_record

RUNS, FACES = 500, 3000
TARGETS = ("synthetic:studio", "synthetic:webcam", "synthetic:night", "synthetic:sketch", "rafdb", "affectnet")


def write_runs(cache: Path, runs: int = RUNS, faces: int = FACES) -> None:
    """Methods of one head that differ in the learning rate, on six targets each."""
    truth = np.arange(faces) % 7
    ids = np.array([f"face-{i:05}" for i in range(faces)], dtype=object)
    for number in range(runs):
        settings = {**SETTINGS["text-similarity"], "learning_rate": 1e-5 * (number + 1)}
        for place, target in enumerate(TARGETS):
            answers = readings(number * len(TARGETS) + place, 0.5 + 0.35 * number / runs - 0.03 * place, truth)
            chosen = {"head": "text-similarity", "target": target, "settings": settings}
            record = scored_record(cache, answers, truth=truth, ids=ids, **chosen)
            write_record(cache / "runs" / record.run, record)


if __name__ == "__main__":
    write_runs(Path(sys.argv[1]) / "cache")
