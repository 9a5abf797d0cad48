"""One JSON file per run, target and selection: what was scored, how, and everything that it takes to repeat it."""

import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from fercache import registry
from fercache.datasets import POOL, DatasetName
from fercache.errors import UsageError
from fercache.provenance import Seen, reasons, seen_by_names
from fercache.scoring.drift import Drift
from fercache.scoring.intervals import few_faces
from fercache.scoring.metrics import adjusted_accuracy
from fercache.scoring.selection import POLICIES

if TYPE_CHECKING:
    import pandas as pd

SCHEMA: Final = 3
"""Of what is written. Records of schemas 1 and 2, which lack some of these fields, are still read."""
MAIN = "main"
"""The readout that every head has; others, like CAFE's grouped channels, stand beside it."""

DUPLICATE = "in the source's train split"
"""The reason for which faces are dropped where a target is scored without duplicates."""

WITHOUT_DUPLICATES = " without duplicates"
"""What marks such a target's name in reports."""

UNIQUE = ".unique"
"""What marks the names of their records' files."""

IMPORTED = "imported"
"""The encoder of predictions that another program made: they stand beside those of every encoder."""

ALL = "all"
"""The split of a set that has none."""

SETTING, OPTION, MADE = "setting.", "option.", "made."
"""What marks a frame's columns of settings, of options, and of the data and code that a run was made with."""

UNSEEDED: Final = frozenset({"zero-shot", "linear-probe", "knn"})
"""The heads without randomness when records did not say so yet, before schema 3."""

METRICS: tuple[Literal["accuracy"], Literal["uar"]] = ("accuracy", "uar")
"""Always reported side by side: the share of faces read right, and the mean over the expressions of that share."""

ADJUSTED: Final = "adjusted_accuracy"
"""Beside them where a mix of expressions was stated."""

INTERVALS: tuple[Literal["accuracy"], Literal["accuracy_unconditional"], Literal["uar"]] = (
    "accuracy",
    "accuracy_unconditional",
    "uar",
)
"""What has an interval: accuracy has two, on faces of the same mix of expressions, and on faces drawn at random."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True, from_attributes=True
    )


class ScoresRecord(_Strict):
    """`metrics.Scores` as it is stored; an instance of that class is accepted wherever this one is expected.

    `recall` and `support` have one entry per expression, in the order of `confusion`'s rows (true) and columns
    (predicted); the recall of an expression without faces is None.
    """

    n: Annotated[int, Field(gt=0)]
    accuracy: Fraction
    uar: Fraction
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
        return self


class MaskRecord(_Strict):
    """Whether a head's channel masks differ between the target's true expressions.

    `distance`, `null` and `p` are those of `scoring.label_shuffles`, with so many `shuffles`.
    """

    distance: Annotated[float, Field(ge=0)]
    null: Annotated[float, Field(ge=0)]
    p: Annotated[float, Field(gt=0, le=1)]
    shuffles: Annotated[int, Field(gt=0)]


class CalibrationRecord(_Strict):
    """How far confidence is from being right, by `scoring.calibration` of the main readout.

    `ece` is the expected calibration error. One entry per bin of confidence, equally wide, lowest first: its faces,
    their mean confidence and the share that is right, both None for a bin without faces. `interval` is of the error
    that very many faces would show, None in older records: `ece` itself is larger than that by chance.
    """

    ece: Fraction
    interval: tuple[Fraction, Fraction] | None = None
    faces: tuple[Count, ...]
    confidence: tuple[Fraction | None, ...]
    accuracy: tuple[Fraction | None, ...]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if not len(self.faces) == len(self.confidence) == len(self.accuracy) > 0:
            raise ValueError("faces, confidence and accuracy are not about the same bins")
        return self


class AbstentionRecord(_Strict):
    """What is wrong among the most confident faces, by `scoring.calibration.risk_coverage` of the main readout.

    `risk[i]` is the share that is wrong among the share `coverage[i]` of the faces, rising to 1; `area` is the mean
    risk over all coverages.
    """

    coverage: tuple[Fraction, ...]
    risk: tuple[Fraction, ...]
    area: Fraction

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if not len(self.coverage) == len(self.risk) > 0:
            raise ValueError("coverage and risk are not equally long")
        return self


class GroupRecord(_Strict):
    """Scores of the faces that share a value of a group column, by the main readout."""

    n: Annotated[int, Field(gt=0)]
    accuracy: Fraction
    uar: Fraction
    recall: dict[str, Fraction | None]


class Record(_Strict):
    """How one run scored on one target, under one selection policy.

    `method_key` is the key of the run's identity without its seed: runs that share it differ in nothing else. `trunk`
    is "none" for a head without one. `source` and `target` are data set names without a split. `policy` is how the
    target's votes became labels. `duplicates` are the scored faces whose picture the source's train split has, pixel
    for pixel or nearly, None where nobody looked; `without_duplicates`: such faces were left out. `classes` are the
    head's expressions. `key_version` 1: chance in training followed from the run's whole key, so that equal seeds of
    two methods have nothing in common; 2: from the seed alone. `intervals` are 95 % intervals of the main readout by
    `scoring.intervals`: of "accuracy" given each expression's number of faces, of the same "accuracy_unconditional" of
    those numbers, and of "uar". Random (`resampled`) are the "faces" or, where subjects are known, whole "subjects".
    Those of older records are bootstraps, without the second. `groups` are by column (age, sex ...) and value, where
    the target has such columns. `seen` is all that the run has seen of the target, of its own source too;
    `not_compared` are the sets in which identical images were not looked for; of records before schema 3, `seen` is
    what the names say. `drift` is None where the source's features were not in the cache, or of few faces. `mask` is
    None for a head without one, and where the target shows fewer than two expressions. A record of predictions that
    were imported has the encoder "imported". `options` are what commands that repeat the run need beyond the other
    fields, e.g. `{"extract": {"encoder": "ViT-B-32/openai"}, "train": {"policy": "soft"}}`. `not_default` names the
    settings whose value is not the head's own for that trunk. `seeded`: something in training was random (None: not
    known, see `is_seeded`).
    """

    schema_version: Literal[1, 2, 3] = Field(default=SCHEMA, alias="schema")
    run: str
    method_key: str
    encoder: str
    encoder_key: str
    head: str
    trunk: str
    settings: dict[str, JsonValue]
    source: str
    target: str
    target_split: str
    seed: int
    key_version: int = 1
    seeded: bool | None = None
    selection: Annotated[str, Field(pattern=f"^({'|'.join(POLICIES)})$")]
    snapshot: str
    policy: str
    duplicates: Count | None = None
    without_duplicates: bool = False
    classes: tuple[str, ...]
    scores: dict[str, ScoresRecord]
    intervals: dict[Literal["accuracy", "accuracy_unconditional", "uar"], tuple[Fraction, Fraction]]
    resampled: Literal["faces", "subjects"] = "faces"
    calibration: CalibrationRecord | None = None
    abstention: AbstentionRecord | None = None
    groups: dict[str, dict[str, GroupRecord]] = Field(default_factory=dict)
    mask: MaskRecord | None = None
    kept: Count
    dropped: dict[str, Count]
    seen_by_encoder: bool
    seen: tuple[Seen, ...] = ()
    not_compared: tuple[str, ...] = ()
    drift: Drift | None = None
    keys: dict[str, str]
    versions: dict[str, str]
    device: str
    seconds: Annotated[float, Field(ge=0)]
    options: dict[Literal["extract", "train", "import-predictions"], dict[str, str]] = Field(default_factory=dict)
    not_default: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _judge_by_names(cls, given: Any) -> Any:
        """What a record that does not say what was seen says by its names."""
        if not isinstance(given, dict) or "seen" in given or not {"source", "target"} <= given.keys():
            return given
        source, target = str(given["source"]), str(given["target"])
        seen = seen_by_names(target, source, given.get("seen_by_encoder") is True)
        return given | {"seen": seen, "not_compared": tuple(source.split(POOL))}

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.seen_by_encoder != any(each.by == "encoder" for each in self.seen):
            raise ValueError("seen_by_encoder and seen disagree")
        if MAIN not in self.scores:
            raise ValueError("scores hold no readout 'main'")
        for readout, scores in self.scores.items():
            if tuple(scores.recall) != self.classes:
                raise ValueError(f"the scores of readout '{readout}' are not about the record's classes")
            if scores.n != self.kept:
                raise ValueError(f"readout '{readout}' scored {scores.n} faces, but {self.kept} were kept")
        return self

    @property
    def is_seeded(self) -> bool:
        """Whether another seed may give another model: taken to be so where nobody knows."""
        return self.head not in UNSEEDED if self.seeded is None else self.seeded

    @property
    def target_label(self) -> str:
        """How reports name the target: split, policy and label file appear where they are not the usual ones."""
        split = "" if self.target_split in (ALL, _usual_split(self.target)) else f"@{self.target_split}"
        how = [self.policy] if self.policy != "majority" else []
        how += [self.label_file] if self.label_file in _other_label_files(self.target) else []
        told = f" ({', '.join(how)})" if how else ""
        return f"{self.target}{split}{told}" + (WITHOUT_DUPLICATES if self.without_duplicates else "")

    @property
    def is_own(self) -> bool:
        """Whether the target is a set of the source, corrupted or not: its score is the one on the source."""
        return not {self.target, self.target.partition("+")[0]}.isdisjoint(self.source.split(POOL))

    @property
    def why_seen(self) -> list[str]:
        """Why the target is not unseen, nothing for one that is; of a set of the source, what the encoder has seen."""
        return reasons(self.seen, self.kept, "encoder" if self.is_own else None)

    @property
    def label_file(self) -> str:
        """Which of the target's label files was asked for; "" where none was named."""
        asked = self.options.get("train", {}) | self.options.get("import-predictions", {})
        return asked.get("labels", "")


@cache
def _usual_split(target: str) -> str:
    """The split that a set is scored on unless another one is named."""
    try:
        split: str = registry.load("datasets", DatasetName.parse(target).family).target_split
    except UsageError:  # somebody's own plugin, which is not here
        split = "test"
    return split or ALL


@cache
def _other_label_files(target: str) -> tuple[str, ...]:
    """Those of a set that are taken only when they are named."""
    try:
        columns = registry.load("datasets", DatasetName.parse(target).family).vote_columns
    except UsageError:  # somebody's own plugin, which is not here
        return ()
    return tuple(dict.fromkeys(column.partition(":")[0] for column in columns))[1:]


def record_path(folder: Path, record: Record) -> Path:
    """Where `record` lies in its run's `folder`: `records/synthetic-webcam@test.source-val.json`."""
    name, unique = _scored(DatasetName.parse(record.target), record.target_split), record.without_duplicates
    return folder / "records" / f"{name}{UNIQUE if unique else ''}.{record.selection}.json"


def record_files(folder: Path, target: DatasetName, split: str, *, unique: bool = False) -> list[Path]:
    """The records in a run's `folder` about a target's `split` ("" is ALL), by name.

    They are of both kinds, with duplicates and without; with `unique`, of the latter alone.
    """
    return sorted((folder / "records").glob(f"{_scored(target, split)}{UNIQUE if unique else ''}.*.json"))


def predictions_path(folder: Path, record: Record) -> Path:
    """Where the predictions that `record` is about lie in its run's `folder`: those without duplicates have none."""
    name = _scored(DatasetName.parse(record.target), record.target_split)
    return folder / "predictions" / f"{name}.{record.selection}.h5"


def _scored(target: DatasetName, split: str) -> str:
    return f"{target.slug}@{split or ALL}"


def write_record(folder: Path, record: Record) -> Path:
    """Writes `record` into its run's `folder` and returns the file. Readers see the old file or the new one, whole."""
    path = record_path(folder, record)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(record.model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8", newline="\n")
    return temporary.replace(path)


def read_record(path: Path) -> Record:
    """The record in `path`. Raises UsageError, which names the file: absent, damaged, of a newer schema, not valid."""
    again = "Delete it and type `fercache evaluate` to score that run again."
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"There is no record {path}. Type `fercache evaluate` to write it.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"The record {path} is damaged: it is not JSON ({error}). {again}") from error
    if not isinstance(document, dict):
        raise UsageError(f"The record {path} is damaged: expected a JSON object. {again}")
    schema = document.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise UsageError(
            f"The record {path} has schema {schema}; this fercache reads up to {SCHEMA}. "
            "Upgrade with `pip install --upgrade fercache`."
        )
    try:
        return Record.model_validate(document)
    except ValidationError as error:
        raise UsageError(f"The record {path} is not valid: {_complaints(error)}. {again}") from error


def _complaints(error: ValidationError) -> str:
    found = []
    for problem in error.errors(include_url=False):
        place = ".".join(map(str, problem["loc"]))
        message = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"].lower()
        plain = isinstance(problem["input"], str | int | float | None)
        value = f", found {problem['input']!r}" if plain and problem["type"] != "extra_forbidden" else ""
        found.append((f"{place}: " if place else "") + message.removeprefix("value error, ") + value)
    return "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")


def find_records(cache: Path) -> list[Path]:
    """Every record file under `cache`, sorted."""
    return sorted((cache / "runs").glob("*/records/*.json"))


def frame(records: Iterable[Record], class_mix: Mapping[str, float] | None = None) -> "pd.DataFrame":
    """A row per run, target, selection and readout. Scores are fractions.

    Settings are columns `setting.<name>`, options `option.<name>`, and what a run was made with `made.<name>`. With a
    `class_mix`, shares by expression, there is a column ADJUSTED: the accuracy if expressions came in that mix.
    """
    import pandas as pd

    return pd.DataFrame([row for record in records for row in _rows(record, class_mix)])


def _rows(record: Record, class_mix: Mapping[str, float] | None) -> Iterable[Mapping[str, object]]:
    for readout, scores in record.scores.items():
        intervals = record.intervals if readout == MAIN else {}
        row: dict[str, object] = {
            "encoder": record.encoder,
            "source": record.source,
            "head": record.head,
            "trunk": record.trunk,
            "readout": readout,
            "seed": record.seed,
            "target": record.target,
            "target_split": record.target_split,
            "target_label": record.target_label,
            "policy": record.policy,
            "without_duplicates": record.without_duplicates,
            "selection": record.selection,
            "snapshot": record.snapshot,
            "n": scores.n,
        }
        row |= {metric: getattr(scores, metric) for metric in METRICS}
        if class_mix:
            mix = np.array([class_mix.get(name, 0.0) for name in record.classes])
            row[ADJUSTED] = adjusted_accuracy(np.array(scores.confusion), mix)
        for name in INTERVALS:
            row |= dict(zip((f"{name}_low", f"{name}_high"), intervals.get(name, (None, None)), strict=True))
        calibration = record.calibration if readout == MAIN else None
        row |= {
            "few_faces": ", ".join(few_faces(scores.support)),
            "ece": calibration and calibration.ece,
            "ece_low": calibration and calibration.interval and calibration.interval[0],
            "ece_high": calibration and calibration.interval and calibration.interval[1],
            "macro_f1": scores.macro_f1,
            "mask_distance": record.mask and record.mask.distance,
            "mask_null": record.mask and record.mask.null,
            "mask_p": record.mask and record.mask.p,
            "dropped": sum(record.dropped.values()),
            "duplicates": record.duplicates,
            "seen_by_encoder": record.seen_by_encoder,
            "seen_by_head": not record.is_own and any(each.by == "source" for each in record.seen),
            "seen": "; ".join(record.why_seen),
            "norm_ratio": record.drift and record.drift.norm_ratio,
            "frechet": record.drift and record.drift.frechet,
            "frechet_floor": record.drift and record.drift.frechet_floor,
            "a_distance": record.drift and record.drift.a_distance,
            "a_distance_floor": record.drift and record.drift.a_distance_floor,
            "device": record.device,
            "seconds": record.seconds,
            "run": record.run,
            "method_key": record.method_key,
            "encoder_key": record.encoder_key,
            "not_default": ",".join(record.not_default),
        }
        row |= {f"recall.{name}": value for name, value in scores.recall.items()}
        row |= {f"{SETTING}{name}": _scalar(value) for name, value in record.settings.items()}
        row |= {f"{OPTION}{name}": value for name, value in _told_options(record).items()}
        row |= {f"{MADE}{name}": value for name, value in _made_with(record).items()}
        yield row


_FIELDS = {"encoder", "file", "model", "seed", "selection", "target"}
"""Options that say what fields of a record say, or where a file lay."""


def _told_options(record: Record) -> Mapping[str, str]:
    """Options that may tell a method from others; that of the source where it says more than the field: a split."""
    extracted = dict(record.options.get("extract", {}))
    if "precision" in extracted:  # training has one of its own
        extracted["encoder precision"] = extracted.pop("precision")
    others = (group for stage, group in record.options.items() if stage != "extract")
    options = {name: value for group in (extracted, *others) for name, value in group.items() if name not in _FIELDS}
    return {name: value for name, value in options.items() if (name, value) != ("source", record.source)}


def _made_with(record: Record) -> Mapping[str, str]:
    """By what runs differ that were asked for alike."""
    table = {"source table": record.keys["source"][:8]} if "source" in record.keys else {}
    return {"expressions": "+".join(record.classes), **table, **record.versions}


def _scalar(value: JsonValue) -> object:
    return json.dumps(value) if isinstance(value, list | dict) else value
