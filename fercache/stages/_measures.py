"""The measures of logits on a target's faces: scores, intervals, calibration, abstention, groups."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.loading.labelled_faces import LabelledFaces
from fercache.records import MAIN, AbstentionRecord, CalibrationRecord, GroupRecord, ScoresRecord
from fercache.scoring.calibration import calibration, probabilities, risk_coverage
from fercache.scoring.intervals import score_intervals
from fercache.scoring.metrics import predict, score

MOST_VALUES = 20
"""A column with more values is not a grouping: an age in years, a file name."""


def measures(
    logits: Mapping[str, NDArray[np.floating]],
    faces: LabelledFaces,
    expressions: Sequence[str],
    known: Sequence[str],
    temperature: float | None = None,
) -> dict[str, Any]:
    """The fields of a record that measure the `logits` of every readout, (N, L), on N `faces`."""
    main, truth = logits[MAIN], faces.truth
    predicted = predict(main, expressions, known)
    named = faces.subject != ""
    subjects = faces.subject if named.any() else None
    named_here = np.array([expression in known for expression in expressions])
    likely = probabilities(main, named_here)
    cooled = (
        None if temperature is None else calibration(probabilities(main / temperature, named_here), truth, subjects)
    )
    return {
        "scores": {
            name: ScoresRecord.model_validate(score(each, truth, expressions, known=known))
            for name, each in logits.items()
        },
        "intervals": score_intervals(truth, predicted, subjects),
        "resampled": "faces" if subjects is None else "subjects",
        "calibration": CalibrationRecord.model_validate(calibration(likely, truth, subjects)),
        "temperature": temperature,
        "calibrated": cooled and CalibrationRecord.model_validate(cooled),
        "abstention": AbstentionRecord.model_validate(risk_coverage(likely, truth)),
        "groups": {
            column: {value: _group(main[rows], truth[rows], expressions, known=known) for value, rows in values.items()}
            for column, values in _groups(faces.group).items()
        },
    }


def _group(
    logits: NDArray[np.floating], truth: NDArray[np.int64], expressions: Sequence[str], known: Sequence[str]
) -> GroupRecord:
    found = score(logits, truth, expressions, known=known)
    return GroupRecord(
        n=found.n, accuracy=found.accuracy, mean_class_recall=found.mean_class_recall, recall=found.recall
    )


def _groups(group: NDArray[np.object_]) -> dict[str, dict[str, NDArray[np.int64]]]:
    """The rows of each value of each column in `group` (N,), `column=value;...`."""
    rows: dict[str, dict[str, list[int]]] = {}
    for row, text in enumerate(group):
        for pair in filter(None, text.split(";")):
            column, _, value = pair.partition("=")
            if value:
                rows.setdefault(column, {}).setdefault(value, []).append(row)
    return {
        column: {value: np.array(values[value]) for value in sorted(values)}
        for column, values in sorted(rows.items())
        if 1 < len(values) <= MOST_VALUES
    }
