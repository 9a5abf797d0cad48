"""Predictions per face: those of a record, and the faces that several records share."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fercache import registry
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.records import MAIN, Record, predictions_path
from fercache.reporting.boards import headline_of
from fercache.scoring.calibration import probabilities
from fercache.scoring.metrics import count_confusion, predict
from fercache.store.runs import Shared, read_answers

OfCell = Mapping[tuple[str, str], Sequence[Record]]
"""Records by method key and target label, one per seed, in the order of seeds."""

_AGAIN = "Run `fercache evaluate --again` to score the run again."


@dataclass(frozen=True)
class ReadFaces:
    """The faces of one target that one run scored: ids, sorted, and the names of the true expressions, all (N,).

    `answer` (N,) are the predictions as indices into `names`. `subject` is the person shown, "" if unknown. Runs on the
    same faces share their arrays.
    """

    id: NDArray[np.object_]
    truth: NDArray[np.object_]
    subject: NDArray[np.object_]
    answer: NDArray[np.int8]
    right: NDArray[np.bool_]
    names: NDArray[np.object_]

    @property
    def predicted(self) -> NDArray[np.object_]:
        """(N,) names of the predicted expressions."""
        return self.names[self.answer]

    def of(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "ReadFaces":
        """The faces in `rows`."""
        kept = {name: getattr(self, name)[rows] for name in ("id", "truth", "subject", "answer", "right")}
        return ReadFaces(**kept, names=self.names)

    @property
    def subjects(self) -> NDArray[np.object_] | None:
        """The subjects to resample as a whole; None if no subject is known, so that faces are resampled."""
        return self.subject if (self.subject != "").any() else None


@dataclass
class Reader:
    """Reads the predictions in a `cache`, each file once; arrays that runs on a target share are stored once."""

    cache: Path
    _read: dict[tuple[Path, str], ReadFaces] = field(default_factory=dict)
    _shared: Shared = field(default_factory=dict)

    def faces(self, record: Record, readout: str) -> ReadFaces:
        """The predictions of a record. Raises UsageError if they are missing or do not belong to the record."""
        path = predictions_path(self.cache / "runs" / record.run, record)
        if (path, readout) not in self._read:
            self._read[path, readout] = _matching(record, readout, path=path, shared=self._shared)
        return self._read[path, readout]

    def probabilities(self, record: Record) -> NDArray[np.float64]:
        """(N, L) probabilities of the record's classes in the main readout, for the faces of `faces`; not kept.

        They are 0 for expressions that the target does not know. Raises UsageError as `faces`.
        """
        path = predictions_path(self.cache / "runs" / record.run, record)
        known = np.isin(record.classes, known_to_target(record))
        return probabilities(read_answers(path, MAIN, self._shared).logits, known)


def known_to_target(record: Record) -> tuple[str, ...]:
    """The expressions that the target's labels can have; scores allow no other prediction."""
    try:
        dataset = registry.load("datasets", DatasetName.parse(record.target).family)
    except UsageError:  # a plugin that is not installed here
        return record.classes
    named = {column.partition(":")[2] for column in dataset.vote_columns} or set(dataset.expressions)
    return tuple(name for name in record.classes if name in named)


def _matching(record: Record, readout: str, path: Path, shared: Shared) -> ReadFaces:
    answers = read_answers(path, readout, shared)
    if answers.expressions != record.classes:
        raise UsageError(f"{path} has other expressions than its record. {_AGAIN}")
    expected = np.array(record.scores[readout].confusion)
    # Masked expressions are not stored. An expression without faces and without predictions can be masked here: it was
    # never the highest.
    known = [name for k, name in enumerate(record.classes) if expected[k].any() or expected[:, k].any()]
    answer = predict(answers.logits, record.classes, known)
    if not np.array_equal(count_confusion(answers.truth, answer, len(record.classes)), expected):
        raise UsageError(f"{path} does not match the scores in its record; one of the two is newer. {_AGAIN}")
    names = np.array(record.classes, dtype=object)
    truth = shared.setdefault(f"{id(answers.truth)} in {record.classes}", names[answers.truth])
    subject = answers.subject
    if subject is None:
        subject = shared.setdefault(f"{len(truth)} unknown", np.full(len(truth), "", dtype=object))
    return ReadFaces(
        id=answers.id,
        truth=truth,
        subject=subject,
        answer=answer.astype(np.int8),
        right=answer == answers.truth,
        names=names,
    )


def by_headline(records: Sequence[Record]) -> list[Record]:
    """The records of the selection policy that methods are compared by, which all runs have."""
    chosen = headline_of((record.run, record.selection) for record in records)
    return [record for record in records if record.selection == chosen]


def by_cell(records: Iterable[Record]) -> OfCell:
    """The records by method and target, in the order of the seeds."""
    found: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.seed):
        found[record.method_key, record.target_label].append(record)
    return found


def shared_faces(read: Sequence[ReadFaces]) -> list[ReadFaces]:
    """The faces that all have with the same true expression, of each. Raises UsageError if there are none."""
    ids = reduce(_in_both, (each.id for each in read))
    there = [each if each.id is ids else each.of(np.searchsorted(each.id, ids)) for each in read]
    others = [each.truth for each in there if each.truth is not there[0].truth]
    alike = np.all([truth == there[0].truth for truth in others], axis=0) if others else np.ones(len(ids), dtype=bool)
    if not alike.any():
        raise UsageError("The predictions to compare have no common face with the same label.")
    return there if alike.all() else [each.of(alike) for each in there]


def class_numbers(truth: NDArray[np.object_]) -> NDArray[np.int64]:
    """(N,) names of expressions -> (N,) numbers."""
    return np.unique(truth, return_inverse=True)[1]


def _in_both(ids: NDArray[np.object_], others: NDArray[np.object_]) -> NDArray[np.object_]:
    return ids if ids is others or np.array_equal(ids, others) else np.intersect1d(ids, others)
