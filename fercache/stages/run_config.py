"""What a run was trained on and how: the content of its `config.json`."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from fercache.errors import UsageError
from fercache.store.runs import Run, read_run

SCHEMA = 1
KEY_VERSION = 2
"""Under version 1 (which such runs do not name) all chance in training followed from the whole key, so that equal
seeds of two methods had nothing in common; since version 2 it follows from the seed, and the key from the rows."""
VALIDATION, CROSS_VALIDATION, LAST_EPOCH = "source validation", "cross-validation", "last epoch"


class SourcePart(BaseModel):
    """One of the sets that a run was trained on; `key` is that of the clean table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    split: str
    key: str


class RunConfig(BaseModel):
    """Everything needed to repeat a run, and to build its head again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = SCHEMA
    key_version: int = 1
    name: str
    key: str
    method_key: str
    """The key of everything but the seed: what a mean over seeds is taken over."""
    encoder: str
    encoder_identity: dict[str, Any]
    encoder_request: dict[str, Any]
    encoder_seen: list[str]
    source: str
    source_split: str
    source_key: str
    pool: list[SourcePart] = []
    """The sets of a source that is made of several; their splits are alike, or joined by commas."""
    head: str
    trunk: str
    settings: dict[str, Any]
    seed: int
    expressions: list[str]
    dimension: int
    crop_side: int | None = None
    views: int = 0
    """Augmented views of its recipe that each epoch drew from."""
    faces: int | None = None
    policy: str
    label_file: str | None
    prompts: str | None
    prompts_key: str | None
    logit_scale: float | None
    train_rows: int
    validation_rows: int
    validation_copies: int | None = None
    """Faces of source validation whose picture is trained on; left out unless they were kept. None: not looked for."""
    keep_validation_copies: bool = False
    chosen_by: str = VALIDATION
    """Source validation; or, where it has too few faces of an expression, cross-validation, or the last epoch."""
    dropped: dict[str, int]
    versions: dict[str, str]
    device: str
    seconds: float

    @property
    def too_few(self) -> bool:
        """Whether source validation has too few faces of an expression to choose anything by them."""
        return self.chosen_by != VALIDATION

    @property
    def rows_chosen_by(self) -> int:
        """Faces whose scores a candidate or an epoch is chosen by."""
        return self.train_rows if self.chosen_by == CROSS_VALIDATION else self.validation_rows

    @property
    def parts(self) -> list[SourcePart]:
        """The sets that the source is made of."""
        return self.pool or [SourcePart(name=self.source, split=self.source_split, key=self.source_key)]


def read_config(folder: Path) -> tuple[Run, RunConfig]:
    """A finished run with its configuration. Raises UsageError when the folder holds none, or one of a newer schema."""
    run = read_run(folder)
    if run.config.get("schema_version", SCHEMA) > SCHEMA:
        raise UsageError(f"{folder} was written by a newer fercache. Upgrade: pip install --upgrade fercache.")
    try:
        return run, RunConfig.model_validate(run.config)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"{folder}/config.json: {'.'.join(map(str, first['loc']))}: {first['msg']}. Train the run again."
        ) from None
