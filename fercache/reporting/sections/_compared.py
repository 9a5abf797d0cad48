"""Comparing methods on the faces of one target that all of them scored, for ranks and differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np

from fercache.records import METRICS, Record
from fercache.reporting.predictions import Reader, ReadFaces, class_numbers, shared_faces
from fercache.reporting.table_rows import Method, Row
from fercache.scoring.comparison import Differences, Runs, all_differences, face_units

Metric = Literal["accuracy", "mean_class_recall"]


@dataclass(frozen=True)
class Side:
    """A method and its predictions on a target, one per seed. Sides with equal `faces` share their arrays."""

    method: Method
    target: str
    read: list[ReadFaces]
    seeded: bool

    @classmethod
    def of(cls, reader: Reader, row: Row, records: Sequence[Record]) -> "Side":
        """The side of a row, from its `records` on a target. Raises UsageError as `Reader.faces`."""
        read = [reader.faces(record, row.method.readout) for record in records]
        return cls(row.method, records[0].target_label, read, seeded=records[0].is_seeded)

    @property
    def faces(self) -> frozenset[int]:
        """Identifies the arrays of ids and labels that it shares."""
        return frozenset(id(array) for read in self.read for array in (read.id, read.truth))


@dataclass(frozen=True)
class Compared:
    """M methods in one metric, on the same faces or targets: the scores (S, 1) of each, and all their differences."""

    scores: list[Runs]
    found: Differences


def on_shared_faces(sides: Sequence[Side]) -> tuple[list[list[ReadFaces]], dict[Metric, Compared]]:
    """The predictions of each side on the faces that all have, and their comparison. Raises UsageError without any."""
    shared = iter(shared_faces([each for side in sides for each in side.read]))
    read = [list(islice(shared, len(side.read))) for side in sides]
    rights = (np.array([each.right for each in of_side], dtype=np.float64) for of_side in read)
    runs = [Runs(right, side.seeded) for right, side in zip(rights, sides, strict=True)]
    truth, subjects = class_numbers(read[0][0].truth), read[0][0].subjects
    compared: dict[Metric, Compared] = {}
    for metric in METRICS:
        units = face_units(truth, metric, subjects)
        scores = [Runs(each.scores(units), each.seeded) for each in runs]
        compared[metric] = Compared(scores, all_differences(runs, units))
    return read, compared
