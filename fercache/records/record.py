"""The scores of one run on one target under one selection policy, and everything needed to repeat them."""

from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, model_validator

from fercache import registry
from fercache.datasets import DatasetName
from fercache.errors import UsageError, nearest
from fercache.expressions import EXPRESSIONS
from fercache.policies import Sees, SelectionPolicy
from fercache.records.fields import (
    ALL,
    MAIN,
    SCHEMA,
    UNSEEDED,
    WITHOUT_DUPLICATES,
    AbstentionRecord,
    AdaptationRecord,
    CalibrationRecord,
    Count,
    FewRecord,
    Fraction,
    GroupRecord,
    MaskRecord,
    ScoresRecord,
    Strict,
)
from fercache.records.relations import Seen, reasons, seen_by_names
from fercache.scoring.drift import Drift
from fercache.scoring.selection import POLICIES
from fercache.splits import POOL


class Record(Strict):
    """The scores of one run on one target, under one selection policy.

    `method_key` is the key of the run's identity without its seed: runs that share it differ in the seed alone.
    `trunk` is "none" for a head without one. `source` and `target` are dataset names without a split. `policy` is
    how the target's votes became labels. `duplicates` are the scored faces that the source's train split contains,
    pixel for pixel or nearly, None if not searched; `without_duplicates`: such faces were left out. `classes` are
    the head's expressions. `key_version` 1: randomness in training followed from the run's whole key, so that equal
    seeds of two methods are unrelated; 2: from the seed alone. `intervals` are 95 % intervals of the main readout
    by `scoring.intervals`: of "accuracy" given each expression's number of faces, of "accuracy_unconditional" (the
    same score for random faces), and of "mean_class_recall". Random (`resampled`) are the "faces" or, with known
    subjects, whole "subjects". Those of older records are bootstraps, without the second. `temperature` is that of the
    run's snapshot, fitted on its (shifted) source validation, and `calibrated` the calibration with logits divided by
    it; None for runs without. `groups` are by column (age, sex ...) and value, if the target has such columns. `seen`
    is everything that the run has seen of the target, including its own source; `not_compared` are the datasets not
    searched for identical images; before schema 3, `seen` is what the names imply. `drift` is None if the source's
    features were not in the cache, or of few faces. `mask` is None for a head without one, and if the target has
    fewer than two expressions. A record of imported predictions has the encoder "imported". `options` are what
    commands that repeat the run need beyond the other fields, e.g. `{"extract": {"encoder": "ViT-B-32/openai"},
    "train": {"policy": "soft"}}`. `not_default` names the settings that differ from the head's defaults for that
    trunk. `seeded`: training was random (None: unknown, see `is_seeded`). `sees` is what the method saw of the
    target (`policies.Sees`), including by the selection of its snapshot; `few` are the labels of any target that it
    learned from.
    """

    schema_version: Literal[1, 2, 3, 4, 5] = Field(default=SCHEMA, alias="schema")
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
    sees: Annotated[str, Field(pattern=f"^({Sees.NOTHING}|{Sees.UNLABELLED}|[1-9][0-9]* labels|{Sees.ORACLE})$")]
    adaptation: AdaptationRecord | None = None
    few: FewRecord | None = None
    selection: Annotated[str, Field(pattern=f"^({'|'.join(POLICIES)})$")]
    snapshot: str
    policy: str
    duplicates: Count | None = None
    without_duplicates: bool = False
    classes: tuple[str, ...]
    scores: dict[str, ScoresRecord]
    intervals: dict[Literal["accuracy", "accuracy_unconditional", "mean_class_recall"], tuple[Fraction, Fraction]]
    resampled: Literal["faces", "subjects"] = "faces"
    calibration: CalibrationRecord | None = None
    temperature: Annotated[float, Field(gt=0)] | None = None
    calibrated: CalibrationRecord | None = None
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
    def _name_as_today(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return given | {
            name: _named_as_today(given[name]) for name in ("scores", "intervals", "groups") if name in given
        }

    @model_validator(mode="before")
    @classmethod
    def _judge_by_names(cls, given: Any) -> Any:
        """What the names imply, for a record without `seen`."""
        if not isinstance(given, dict) or "seen" in given or not {"source", "target"} <= given.keys():
            return given
        source, target = str(given["source"]), str(given["target"])
        seen = seen_by_names(target, source, given.get("seen_by_encoder") is True)
        return given | {"seen": seen, "not_compared": tuple(source.split(POOL))}

    @model_validator(mode="before")
    @classmethod
    def _fill_in_sees(cls, given: Any) -> Any:
        """Records of earlier versions saw nothing, but for the oracle."""
        if not isinstance(given, dict) or "sees" in given:
            return given
        return given | {"sees": Sees.ORACLE if given.get("selection") == SelectionPolicy.ORACLE else Sees.NOTHING}

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.seen_by_encoder != any(each.by == "encoder" for each in self.seen):
            raise ValueError("seen_by_encoder and seen disagree")
        if (self.sees == Sees.ORACLE) != (self.selection == SelectionPolicy.ORACLE):
            raise ValueError(f"sees is '{self.sees}', but the selection policy is {self.selection}")
        if self.adaptation is not None and self.sees == Sees.NOTHING:
            raise ValueError("an adapted method saw the unlabelled target, not nothing")
        if self.few is not None and self.few.here and self.sees not in (f"{self.few.labels} labels", Sees.ORACLE):
            raise ValueError(f"sees is '{self.sees}', but the run learned from {self.few.labels} labels of the target")
        if unknown := [name for name in self.classes if name not in EXPRESSIONS]:
            raise ValueError(f"classes: '{unknown[0]}' is not an expression. {nearest(unknown[0], EXPRESSIONS)}")
        if lacking := sorted({"run", "target"} - self.keys.keys()):
            raise ValueError(f"keys hold none of the {lacking[0]}")
        if MAIN not in self.scores:
            raise ValueError("scores hold no readout 'main'")
        for readout, scores in self.scores.items():
            if tuple(scores.recall) != self.classes:
                raise ValueError(f"the scores of readout '{readout}' are not about the record's classes")
            if scores.n != self.kept:
                raise ValueError(f"readout '{readout}' scored {scores.n} faces, but {self.kept} were kept")
        if self.calibration is not None and sum(self.calibration.faces) != self.kept:
            raise ValueError(f"calibration is of {sum(self.calibration.faces)} faces, but {self.kept} were kept")
        if wrong := [name for name, (low, high) in self.intervals.items() if low > high]:
            raise ValueError(f"the interval of {wrong[0]} ends before it begins")
        return self

    @property
    def is_seeded(self) -> bool:
        """Whether another seed may give another model; True if unknown."""
        return self.head not in UNSEEDED if self.seeded is None else self.seeded

    @property
    def method_sees(self) -> str:
        """What the method itself saw of the target, whatever chose its snapshot and however many labels there were."""
        if self.few is not None:
            return Sees.LABELS if self.few.here else Sees.OTHER_LABELS
        if self.sees != Sees.ORACLE:
            return self.sees
        return Sees.NOTHING if self.adaptation is None else Sees.UNLABELLED

    @property
    def target_label(self) -> str:
        """The target's name in reports, with split, policy and label file if they are not the usual ones."""
        split = "" if self.target_split in (ALL, _usual_split(self.target)) else f"@{self.target_split}"
        how = [self.policy] if self.policy != "majority" else []
        how += [self.label_file] if self.label_file in _other_label_files(self.target) else []
        details = f" ({', '.join(how)})" if how else ""
        return f"{self.target}{split}{details}" + (WITHOUT_DUPLICATES if self.without_duplicates else "")

    @property
    def is_own(self) -> bool:
        """Whether the target is a dataset of the source, corrupted or not: its score is the one on the source."""
        return not {self.target, self.target.partition("+")[0]}.isdisjoint(self.source.split(POOL))

    @property
    def why_seen(self) -> list[str]:
        """Why the target is not unseen; empty if it is. For a dataset of the source, what the encoder has seen."""
        return reasons(self.seen, self.kept, "encoder" if self.is_own else None)

    @property
    def label_file(self) -> str:
        """The requested label file of the target; "" if none was named."""
        asked = self.options.get("train", {}) | self.options.get("import-predictions", {})
        return asked.get("labels", "")


def _named_as_today(given: Any) -> Any:
    """Schemas 1 to 4 have `uar` for `mean_class_recall`."""
    if not isinstance(given, dict):
        return given
    return {"mean_class_recall" if name == "uar" else name: _named_as_today(value) for name, value in given.items()}


@cache
def _usual_split(target: str) -> str:
    """The split on which a dataset is scored by default."""
    try:
        split: str = registry.load("datasets", DatasetName.parse(target).family).target_split
    except UsageError:  # a plugin that is not installed here
        split = "test"
    return split or ALL


@cache
def _other_label_files(target: str) -> tuple[str, ...]:
    """The label files of a dataset that are used only by name."""
    try:
        columns = registry.load("datasets", DatasetName.parse(target).family).vote_columns
    except UsageError:  # a plugin that is not installed here
        return ()
    return tuple(dict.fromkeys(column.partition(":")[0] for column in columns))[1:]
