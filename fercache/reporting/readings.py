"""What runs read: the predictions of records, face by face, and of several the faces that all have."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fercache.errors import UsageError
from fercache.records import Record, predictions_path
from fercache.reporting.rows import Row
from fercache.scoring.comparison import Runs
from fercache.scoring.metrics import count_confusion, predict
from fercache.scoring.selection import headline
from fercache.store.runs import read_predictions

"""The policy whose predictions are compared."""

OfCell = Mapping[tuple[str, str], Sequence[Record]]
"""Records by method key and target label, one per seed, in the order of seeds."""

_AGAIN = "Type `fercache evaluate --again` to score the run again."


@dataclass(frozen=True)
class ReadFaces:
    """The faces that one run read of one target: their ids, sorted, and the names of the expressions, all (N,).

    `subject` is who is shown, "" where nobody knows.
    """

    id: NDArray[np.object_]
    truth: NDArray[np.object_]
    predicted: NDArray[np.object_]
    subject: NDArray[np.object_]

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,) whether each face was read right."""
        return np.asarray(self.truth == self.predicted)

    def of(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "ReadFaces":
        """Those in the `rows`."""
        return ReadFaces(self.id[rows], self.truth[rows], self.predicted[rows], self.subject[rows])

    @property
    def subjects(self) -> NDArray[np.object_] | None:
        """Who is drawn as a whole, None where faces are drawn because nobody is known."""
        return self.subject if (self.subject != "").any() else None


@dataclass
class Reader:
    """Reads the predictions in a `cache`, each of them once, and holds the ids of a target's faces once."""

    cache: Path
    _read: dict[tuple[Path, str], ReadFaces] = field(default_factory=dict)
    _ids: dict[str, NDArray[np.object_]] = field(default_factory=dict)

    def faces(self, record: Record, readout: str) -> ReadFaces:
        """As `read_faces`."""
        place = predictions_path(self.cache / "runs" / record.run, record), readout
        if place not in self._read:
            found = read_faces(record, readout, self.cache)
            ids = self._ids.setdefault(record.target_label, found.id)
            same = np.array_equal(ids, found.id)
            self._read[place] = ReadFaces(ids if same else found.id, found.truth, found.predicted, found.subject)
        return self._read[place]

    def of_row(self, row: Row, target: str, of_cell: OfCell) -> list[ReadFaces]:
        """What a board's method read of a target, one per seed. Raises UsageError as `read_faces` does."""
        return [self.faces(record, row.method.readout) for record in of_cell[row.method.key, target]]


def read_faces(record: Record, readout: str, cache: Path) -> ReadFaces:
    """What the record's predictions in `cache` say. Raises UsageError where they are gone, or are not the record's."""
    path = predictions_path(cache / "runs" / record.run, record)
    predictions = read_predictions(path)
    if readout not in predictions.logits or predictions.expressions != record.classes:
        raise UsageError(f"{path} holds no predictions of the record's readout '{readout}' and expressions. {_AGAIN}")
    expected = np.array(record.scores[readout].confusion)
    # Whether an expression was masked is not written down. One that no face shows and none was read as may be masked
    # here: it was never the highest.
    known = [name for k, name in enumerate(record.classes) if expected[k].any() or expected[:, k].any()]
    predicted = predict(predictions.logits[readout], record.classes, known)
    if not np.array_equal(count_confusion(predictions.truth, predicted, len(record.classes)), expected):
        raise UsageError(f"{path} does not give the scores that its record has: one was written later. {_AGAIN}")
    names, order = np.array(record.classes, dtype=object), np.argsort(predictions.id)
    unknown = np.full(len(order), "", dtype=object)
    subject = unknown if predictions.subject is None else predictions.subject[order]
    return ReadFaces(predictions.id[order], names[predictions.truth[order]], names[predicted[order]], subject)


def by_headline(records: Iterable[Record]) -> list[Record]:
    """Those of the policy that methods are compared by: one that all runs have."""
    policies: dict[str, set[str]] = defaultdict(set)
    there = list(records)
    for record in there:
        policies[record.run].add(record.selection)
    chosen = headline(policies.values())
    return [record for record in there if record.selection == chosen]


def by_cell(records: Iterable[Record]) -> OfCell:
    """By method and target, in the order of the seeds."""
    found: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.seed):
        found[record.method_key, record.target_label].append(record)
    return found


def shared_faces(read: Sequence[ReadFaces]) -> list[ReadFaces]:
    """Of each, the faces that all have with the same true expression. Raises UsageError when there are none."""
    ids = reduce(_in_both, (each.id for each in read))
    there = [each if each.id is ids else each.of(np.searchsorted(each.id, ids)) for each in read]
    alike = np.all([each.truth == there[0].truth for each in there], axis=0)
    if not alike.any():
        raise UsageError("The predictions to compare share no face with the same label.")
    return there if alike.all() else [each.of(alike) for each in there]


def as_runs(read: Sequence[ReadFaces], *, seeded: bool) -> Runs:
    """One method's seeds, on the same faces."""
    return Runs(np.array([each.right for each in read], dtype=np.float64), seeded)


def class_numbers(truth: NDArray[np.object_]) -> NDArray[np.int64]:
    """(N,) names of expressions -> (N,) numbers."""
    return np.unique(truth, return_inverse=True)[1]


def _in_both(ids: NDArray[np.object_], others: NDArray[np.object_]) -> NDArray[np.object_]:
    return ids if ids is others or np.array_equal(ids, others) else np.intersect1d(ids, others)
