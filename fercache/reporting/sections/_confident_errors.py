"""Faces that a head got wrong with high confidence: the quickest way to see what it confuses."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fercache import registry
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.records import MAIN, Record, predictions_path
from fercache.reporting.boards import Board
from fercache.reporting.report import FaceImages, Report
from fercache.reporting.sections._leader import leader
from fercache.scoring.calibration import probabilities
from fercache.scoring.metrics import predict
from fercache.store.runs import read_predictions

MOST = 8


@dataclass(frozen=True)
class ConfidentError:
    """A face that `run` got wrong: `confidence` (0 to 1) is what it gave the wrong expression, `image` a data URI."""

    run: str
    id: str
    truth: str
    predicted: str
    confidence: float
    image: str | None


def board_errors(board: Board, report: Report) -> dict[str, list[ConfidentError]]:
    """The confident errors of the board's leading method by target label, where it has any. Needs the cache."""
    leading = leader(board, report.records)
    of_label = leading.records if leading and report.cache else {}
    errors = {label: confident_errors(own, report.cache, report.request.images) for label, own in of_label.items()}
    return {label: some for label, some in errors.items() if some}


def confident_errors(records: Sequence[Record], cache: Path | None, images: FaceImages | None) -> list[ConfidentError]:
    """The errors of one method on one target with its first seed, most confident first.

    Empty if `cache` has no predictions of the records; without `images`, no error has an image.
    """
    record = min(records, key=lambda record: record.seed, default=None)
    path = predictions_path(cache / "runs" / record.run, record) if cache and record else None
    if record is None or path is None or not path.is_file():
        return []
    predictions = read_predictions(path)
    names, logits = predictions.expressions, predictions.logits[MAIN]
    known = _known(record)
    predicted = predict(logits, names, known)
    confidence = probabilities(logits, np.array([name in known for name in names])).max(axis=1)
    rows = _most_confident(np.flatnonzero(predicted != predictions.truth), confidence)
    ids = [str(predictions.id[row]) for row in rows]
    shown = images(record.target, ids) if images and ids else {}
    return [
        ConfidentError(
            run=record.run,
            id=id,
            truth=names[predictions.truth[row]],
            predicted=names[predicted[row]],
            confidence=float(confidence[row]),
            image=shown.get(id),
        )
        for row, id in zip(rows, ids, strict=True)
    ]


def _most_confident(rows: NDArray[np.int64], confidence: NDArray[np.floating]) -> NDArray[np.int64]:
    return rows[np.argsort(-confidence[rows], kind="stable")[:MOST]]


def _known(record: Record) -> tuple[str, ...]:
    """The expressions that the target's labels can have; scores allow no other prediction."""
    try:
        dataset = registry.load("datasets", DatasetName.parse(record.target).family)
    except UsageError:  # a plugin that is not installed here
        return record.classes
    named = {column.partition(":")[2] for column in dataset.vote_columns} or set(dataset.expressions)
    return tuple(name for name in record.classes if name in named)
