"""Faces that a head got wrong although it was sure: the quickest way to see what it mistakes for what."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fercache import registry
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.records import MAIN, Record, predictions_path
from fercache.reporting.boards import Board
from fercache.reporting.rows import BASELINES, Method
from fercache.scoring.calibration import probabilities
from fercache.scoring.metrics import predict
from fercache.store.runs import read_predictions

MOST = 8
UNTRAINED = BASELINES[0]

Pictures = Callable[[str, Sequence[str]], Mapping[str, str]]
"""Data URIs by id, of the faces of a target (by its data set's name) with these ids that may be shown."""


@dataclass(frozen=True)
class ConfidentError:
    """A face that `run` got wrong: `confidence` (0 to 1) is what it gave the wrong expression, `picture` a data URI."""

    run: str
    id: str
    truth: str
    predicted: str
    confidence: float
    picture: str | None


@dataclass(frozen=True)
class Leader:
    """A board's leading method, and its records by target label, in the order of the board's columns."""

    method: Method
    records: dict[str, list[Record]]


def leader(board: Board, records: Sequence[Record]) -> Leader | None:
    """The trained method that is most accurate on the unseen targets, without any on the source; None without one."""
    here = [record for record in records if _is_of(record, board)]
    trained = {record.method_key for record in here}
    rows = [row for row in board.headline if row.method.readout == MAIN and row.method.key in trained]
    leading = board.leading(rows)
    if leading is None:
        return None
    method = leading.method
    own = [record for record in here if record.method_key == method.key]
    of_label = {label: [record for record in own if record.target_label == label] for label in board.columns}
    return Leader(method, {label: found for label, found in of_label.items() if found})


def _is_of(record: Record, board: Board) -> bool:
    same = (record.encoder_key, record.source) == (board.encoder_key, board.source)
    shown = record.selection == board.policy and not record.without_duplicates
    return same and shown and record.head != UNTRAINED


def errors_by_board(
    records: Sequence[Record], boards: Sequence[Board], cache: Path, pictures: Pictures | None
) -> dict[tuple[str, str], dict[str, list[ConfidentError]]]:
    """By encoder key and source, and by target label: the confident errors of each board's leading method."""
    found = {}
    for board in boards:
        leading = leader(board, records)
        of_label = leading.records if leading else {}
        errors = {label: confident_errors(own, cache, pictures) for label, own in of_label.items()}
        found[board.encoder_key, board.source] = {label: some for label, some in errors.items() if some}
    return found


def confident_errors(records: Sequence[Record], cache: Path, pictures: Pictures | None) -> list[ConfidentError]:
    """The most confident errors of one method on one target, by its first seed, the most confident first.

    There are none where the records have no predictions in `cache`, and without `pictures` none has a picture.
    """
    record = min(records, key=lambda record: record.seed, default=None)
    path = predictions_path(cache / "runs" / record.run, record) if record else None
    if record is None or path is None or not path.is_file():
        return []
    predictions = read_predictions(path)
    names, logits = predictions.expressions, predictions.logits[MAIN]
    known = _known(record)
    predicted = predict(logits, names, known)
    confidence = probabilities(logits, np.array([name in known for name in names])).max(axis=1)
    rows = _most_confident(np.flatnonzero(predicted != predictions.truth), confidence)
    ids = [str(predictions.id[row]) for row in rows]
    shown = pictures(record.target, ids) if pictures and ids else {}
    return [
        ConfidentError(
            run=record.run,
            id=id,
            truth=names[predictions.truth[row]],
            predicted=names[predicted[row]],
            confidence=float(confidence[row]),
            picture=shown.get(id),
        )
        for row, id in zip(rows, ids, strict=True)
    ]


def _most_confident(rows: NDArray[np.int64], confidence: NDArray[np.floating]) -> NDArray[np.int64]:
    return rows[np.argsort(-confidence[rows], kind="stable")[:MOST]]


def _known(record: Record) -> tuple[str, ...]:
    """The expressions among which the target's labels choose: its scores let the head answer with no other."""
    try:
        dataset = registry.load("datasets", DatasetName.parse(record.target).family)
    except UsageError:  # somebody's own plugin, which is not here
        return record.classes
    named = {column.partition(":")[2] for column in dataset.vote_columns} or set(dataset.expressions)
    return tuple(name for name in record.classes if name in named)
