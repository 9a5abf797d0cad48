"""Records whose predictions are there: both are of one set of readings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.records import MAIN, Record, predictions_path
from fercache.scoring.metrics import count_confusion
from fercache.store.runs import StoredPredictions, write_predictions
from tests.fake_records import CLASSES, fake_record, scores_of

FACES = 210
TRUTH = np.arange(FACES) % 7
IDS = np.array([f"face-{i:03}" for i in range(FACES)], dtype=object)


def readings(seed: int, skill: float, truth: NDArray[np.int64] = TRUTH) -> NDArray[np.int64]:
    """Predictions that are right with probability `skill`, each face on its own."""
    generator = np.random.default_rng(seed)
    wrong = (truth + generator.integers(1, 7, size=len(truth))) % 7
    return np.where(generator.random(len(truth)) < skill, truth, wrong)


def logits_of(predicted: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.eye(7, dtype=np.float32)[predicted]


def scored_record(
    cache: Path,
    predicted: NDArray[np.int64] | Mapping[str, NDArray[np.int64]],
    *,
    truth: NDArray[np.int64] = TRUTH,
    ids: NDArray[np.object_] = IDS,
    logits: NDArray[np.float32] | None = None,
    subject: NDArray[np.object_] | None = None,
    features: NDArray[np.float16] | None = None,
    **changes: Any,
) -> Record:
    """A record of what was predicted, by readout or in the main one, and in `cache` the predictions it is about.

    With `logits`, those are stored instead of ones that are highest for what was predicted; `features` (N, D) are those
    of all faces.
    """
    readouts = predicted if isinstance(predicted, Mapping) else {MAIN: predicted}
    scores = {name: scores_of(count_confusion(truth, each, 7)) for name, each in readouts.items()}
    record = fake_record(**{"scores": scores, "kept": len(truth), "intervals": {}, **changes})
    stored = {name: logits_of(each) if logits is None else logits for name, each in readouts.items()}
    predictions = StoredPredictions(
        expressions=CLASSES,
        id=ids,
        truth=truth,
        logits=stored,
        sample=np.arange(0 if features is None else len(ids)),
        features=np.empty((0, 0), np.float16) if features is None else features,
        mask_mean=None,
        subject=subject,
    )
    write_predictions(predictions_path(cache / "runs" / record.run, record), predictions, {"run": record.run})
    return record
