"""A run's configuration: the content of its `config.json`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fercache.errors import UsageError, first_problem
from fercache.expressions import EXPRESSIONS
from fercache.options.train import LearningOptions
from fercache.plugins import Origin
from fercache.policies import VotePolicy
from fercache.store.runs import Run, read_run

SCHEMA = 1
TRAIN_AGAIN = "Delete the folder and run the same `fercache train` again."
KEY_VERSION = 2
"""In version 1 (not stored in such runs), random numbers in training depended on the whole key, so that equal seeds of
two methods had nothing in common; since version 2 they depend on the seed alone, and the key depends on the rows."""
NO_TRUNK = "none"
ORIGINS = ("head_from", "trunk_from")
"""The fields with the origins of a run's plugins from outside."""
VALIDATION, CROSS_VALIDATION, LAST_EPOCH = "source validation", "cross-validation", "last epoch"


class SourcePart(BaseModel):
    """One of the datasets that a run was trained on; `key` is the clean key of its table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    split: str
    key: str


class FewLabels(BaseModel):
    """The labelled faces of a target that a run learned from besides its source.

    `key` is the clean key of their table, `faces` are the expressions by id, and `images` the SHA-256 of the pixels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str
    key: str
    faces: dict[str, str]
    images: list[Annotated[str, Field(pattern="^[0-9a-f]{64}$")]]


class RunConfig(LearningOptions):
    """Everything needed to repeat a run and to rebuild its head."""

    model_config = ConfigDict(populate_by_name=True, allow_inf_nan=True)

    schema_version: Annotated[int, Field(strict=True, ge=1, le=SCHEMA)] = SCHEMA
    key_version: int = 1
    name: str
    key: str
    method_key: str
    """The key of everything but the seed; means over seeds group runs by it."""
    encoder: str
    encoder_identity: dict[str, Any]
    encoder_request: dict[str, Any]
    encoder_seen: list[str]
    source: str
    source_split: str
    source_key: str
    pool: list[SourcePart] = Field(default_factory=list)
    """The datasets of a pooled source."""
    few_labels: FewLabels | None = None
    """None for a run that learned from its source alone; `few` is only where its list was."""
    head: str
    head_from: Origin | None = None
    """The origin of a head from outside; None for a built-in one."""
    trunk: str
    trunk_from: Origin | None = None
    settings: dict[str, Any]
    seed: int
    expressions: list[Annotated[str, Field(pattern=f"^({'|'.join(EXPRESSIONS)})$")]]
    dimension: Annotated[int, Field(ge=1, le=2**20)]
    crop_side: Annotated[int, Field(ge=1, le=4096)] | None = None
    views: int = 0
    """Number of augmented views that epochs drew from."""
    votes: VotePolicy = Field(VotePolicy.MAJORITY, alias="policy")
    labels: str | None = Field(None, alias="label_file")
    prompts: str | None
    prompts_key: str | None
    logit_scale: float | None
    train_rows: Annotated[int, Field(ge=1, le=2**40)]
    validation_rows: Annotated[int, Field(ge=1, le=2**40)]
    validation_copies: int | None = None
    """Source validation faces whose image is also in the training rows; left out unless kept. None: not searched."""
    chosen_by: str = VALIDATION
    """Source validation; if it has too few faces of an expression, cross-validation or the last epoch."""
    dropped: dict[str, int]
    versions: dict[str, str]
    device: str
    seconds: float

    @field_validator("encoder_request")
    @classmethod
    def _can_be_asked(cls, given: dict[str, Any]) -> dict[str, Any]:
        for name, kinds in (("name", str), ("weights", str | None), ("preprocessing", str)):
            if name not in given or not isinstance(given[name], kinds):
                raise ValueError(f"'{name}' is missing or not text")
        return given

    def changes(self, settings: Mapping[str, Any], options: LearningOptions, prompts: str) -> dict[str, str]:
        """The fields whose requested value differs from this run's: {"prompts": "faces -> ke2nt"}."""
        then = {"settings." + name: value for name, value in self.settings.items()} | self.part(LearningOptions)
        now = {"settings." + name: value for name, value in settings.items()} | dict(options.part(LearningOptions))
        if self.prompts is not None:
            then["prompts"], now["prompts"] = self.prompts, prompts
        names = dict.fromkeys((*then, *now))
        return {name: f"{then.get(name)} -> {now.get(name)}" for name in names if then.get(name) != now.get(name)}

    @model_validator(mode="before")
    @classmethod
    def _find_classes(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Runs of earlier versions do not store the requested number of expressions."""
        return {"classes": 8 if "contempt" in given.get("expressions", ()) else 7} | given

    @property
    def too_few(self) -> bool:
        """Whether source validation has too few faces of an expression to choose by."""
        return self.chosen_by != VALIDATION

    @property
    def rows_chosen_by(self) -> int:
        """Number of faces whose scores a candidate or an epoch is chosen by."""
        return self.train_rows if self.chosen_by == CROSS_VALIDATION else self.validation_rows

    @property
    def parts(self) -> list[SourcePart]:
        """The datasets of the source."""
        return self.pool or [SourcePart(name=self.source, split=self.source_split, key=self.source_key)]


def read_config(folder: Path) -> tuple[Run, RunConfig]:
    """Reads a finished run and its configuration.

    Raises UsageError for a folder without a finished run, a newer schema, and a run with another folder's name.
    """
    run = read_run(folder)
    schema = run.config.get("schema_version", SCHEMA)
    if isinstance(schema, int) and schema > SCHEMA:
        raise UsageError(f"{folder} was written by a newer fercache. Upgrade: pip install --upgrade fercache.")
    try:
        config = RunConfig.model_validate(run.config)
    except ValidationError as error:
        problem = first_problem(error)
        raise UsageError(f"{folder}/config.json: {problem.name}: {problem.message}. {TRAIN_AGAIN}") from None
    if config.name != folder.name:
        raise UsageError(f"{folder} holds the run {config.name}. Rename the folder to that, or delete it.")
    if complaint := _complaint(run.history):
        raise UsageError(f"{folder}/history.csv {complaint}. {TRAIN_AGAIN}")
    return run, config


def _complaint(history: Sequence[Mapping[str, Any]]) -> str:
    """Why no snapshot could be chosen by a history; empty if one can."""
    if not any(row.get("snapshot") for row in history):
        return "names no 'snapshot'"
    for name in ("epoch", "validation_accuracy", "validation_mean_class_recall"):
        for row in history:
            value = row.get(name)
            if not isinstance(value, int | float) or (name != "epoch" and not 0 <= value <= 1):
                return f"has a row whose '{name}' is {value!r}"
    return ""
