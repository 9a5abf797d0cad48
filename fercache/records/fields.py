"""The parts of a record, and the constants used in records."""

import math
from typing import Annotated, Final, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fercache.scoring import metrics

SCHEMA: Final = 5
"""The schema written. Records of schemas 1 to 4, which lack some fields or name them otherwise, are still read."""
MAIN = "main"
"""The readout of every head; some heads have others too, such as CAFE's grouped channels."""

DUPLICATE = "in the source's train split"
"""The reason for dropped faces when a target is scored without duplicates."""

LABELLED = "labelled for training"
"""The reason for dropped faces whose labels a run learned from."""

WITHOUT_DUPLICATES = " without duplicates"
"""Suffix of such a target's name in reports."""

UNIQUE = ".unique"
"""Suffix of their records' file names."""

IMPORTED = "imported"
"""The encoder of imported predictions, which are reported with those of every encoder."""

ALL = "all"
"""The split name of a dataset without splits."""

SETTING, OPTION, MADE = "setting.", "option.", "made."
"""Prefixes of a frame's columns: settings, options, and the data and code that a run was made with."""

UNSEEDED: Final = frozenset({"zero-shot", "linear-probe", "knn"})
"""The heads without randomness, for records before schema 3, which do not state it."""

METRICS: tuple[Literal["accuracy"], Literal["mean_class_recall"]] = ("accuracy", "mean_class_recall")
"""Always reported together: the share of correct faces, and the mean of that share over expressions (UAR)."""

ADJUSTED: Final = "adjusted_accuracy"
"""Reported too if a mix of expressions was given."""

INTERVALS: tuple[Literal["accuracy"], Literal["accuracy_unconditional"], Literal["mean_class_recall"]] = (
    "accuracy",
    "accuracy_unconditional",
    "mean_class_recall",
)
"""Scores with an interval; accuracy has two: for faces of the same mix of expressions, and for random faces."""

_ROUNDING = 1e-6
"""How far a score may differ from its recomputed value: other versions and programs sum in another order."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True, from_attributes=True
    )


class ScoresRecord(Strict):
    """`metrics.Scores` as stored; an instance of that class is accepted wherever this one is expected.

    `recall` and `support` have one entry per expression, in the order of `confusion`'s rows (true) and columns
    (predicted); the recall of an expression without faces is None.
    """

    n: Annotated[int, Field(gt=0)]
    accuracy: Fraction
    mean_class_recall: Fraction
    macro_f1: Fraction
    recall: dict[str, Fraction | None]
    support: dict[str, Count]
    confusion: list[list[Count]]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        size = len(self.recall)
        if list(self.recall) != list(self.support) or [len(row) for row in self.confusion] != [size] * size:
            raise ValueError("recall, support and confusion are not about the same expressions")
        if [sum(row) for row in self.confusion] != list(self.support.values()):
            raise ValueError("the rows of confusion do not add up to support")
        if sum(self.support.values()) != self.n:
            raise ValueError("support does not add up to n")
        counts = np.array(self.confusion)
        for name in ("accuracy", "mean_class_recall", "macro_f1"):
            _check_follows(name, getattr(self, name), float(getattr(metrics, name)(counts)), source="its confusion")
        for place, (name, faces) in enumerate(self.support.items()):
            recall = self.confusion[place][place] / faces if faces else None
            _check_follows(f"the recall of {name}", self.recall[name], recall, source="its confusion")
        return self


class MaskRecord(Strict):
    """Whether a head's channel masks differ between the target's true expressions.

    `distance`, `null` and `p` are those of `scoring.label_shuffles`, with this number of `shuffles`.
    """

    distance: Annotated[float, Field(ge=0)]
    null: Annotated[float, Field(ge=0)]
    p: Annotated[float, Field(gt=0, le=1)]
    shuffles: Annotated[int, Field(gt=0)]


class CalibrationRecord(Strict):
    """How well confidence matches accuracy, by `scoring.calibration` of the main readout.

    `ece` is the expected calibration error. One entry per bin of confidence, equally wide, lowest first: its faces,
    their mean confidence and their accuracy, both None for an empty bin. `interval` is of the error with infinitely
    many faces, None in older records: `ece` itself exceeds that error by chance.
    """

    ece: Fraction
    interval: tuple[Fraction, Fraction] | None = None
    faces: tuple[Count, ...]
    confidence: tuple[Fraction | None, ...]
    accuracy: tuple[Fraction | None, ...]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if not len(self.faces) == len(self.confidence) == len(self.accuracy) > 0:
            raise ValueError("faces, confidence and accuracy do not have the same bins")
        gaps = 0.0
        for count, confidence, accuracy in zip(self.faces, self.confidence, self.accuracy, strict=True):
            if (count == 0) != (confidence is None) or (count == 0) != (accuracy is None):
                raise ValueError("exactly the bins with faces must have a confidence and an accuracy")
            gaps += count * abs((confidence or 0) - (accuracy or 0))
        _check_follows("ece", self.ece, gaps / max(sum(self.faces), 1), source="its bins")
        return self


class AdaptationRecord(Strict):
    """How a run was adapted to the target's `faces`, labelled or not: an adaptation's `name`, with UNGUARDED after it
    if its guard was off.

    `declined` is the guard's reason for the unadapted scores, "" if it accepted.
    """

    name: Annotated[str, Field(pattern=r"^[\w-]+$")]
    faces: Annotated[int, Field(gt=0)]
    declined: str = ""


class FewRecord(Strict):
    """The run learned from `labels` labelled faces of the dataset `target` as well.

    `here`: that is the scored target, or one with its images. The labelled faces themselves are not scored.
    """

    target: str
    labels: Annotated[int, Field(gt=0)]
    here: bool

    def __str__(self) -> str:
        return f"{self.labels} of {self.target}"


class AbstentionRecord(Strict):
    """Errors among the most confident faces, by `scoring.calibration.risk_coverage` of the main readout.

    `risk[i]` is the error rate of the most confident share `coverage[i]` of the faces, rising to 1; `area` is the mean
    risk over all coverages.
    """

    coverage: tuple[Fraction, ...]
    risk: tuple[Fraction, ...]
    area: Fraction

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if not len(self.coverage) == len(self.risk) > 0:
            raise ValueError("coverage and risk differ in length")
        return self


class GroupRecord(Strict):
    """Scores of the faces that share a value of a group column, by the main readout."""

    n: Annotated[int, Field(gt=0)]
    accuracy: Fraction
    mean_class_recall: Fraction
    recall: dict[str, Fraction | None]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        recalls = [recall for recall in self.recall.values() if recall is not None]
        mean = sum(recalls) / max(len(recalls), 1)
        _check_follows("mean_class_recall", self.mean_class_recall, mean, source="the mean of its recalls")
        return self


def _check_follows(name: str, found: float | None, expected: float | None, source: str) -> None:
    """Raises ValueError if a score differs from its recomputed value."""
    if found is None or expected is None:
        differ = found is not expected
    else:
        differ = not math.isclose(found, expected, abs_tol=_ROUNDING)
    if differ:
        shown = ["none" if value is None else f"{value:.6g}" for value in (found, expected)]
        raise ValueError(f"{name} is {shown[0]}, but by {source} it is {shown[1]}")
