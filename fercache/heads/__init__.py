"""The two head contracts. Every other file in this folder is one head.

A head is a `torch.nn.Module`: a run stores its `state_dict`. It knows neither files nor datasets.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn

from fercache import registry
from fercache.errors import UsageError
from fercache.trunks import Faces, Trunk

RANDOM = "random"
"""A trunk's initial weights by default."""


@dataclass(frozen=True)
class Batch(Faces):
    """Faces with `labels` (B,) int64, and `distribution` (B, L) if labels are soft.

    With soft labels, `labels` is the most likely expression. `class_weights` (L,) weight the expressions in a
    cross-entropy; None weights them equally.
    """

    labels: Tensor = field(kw_only=True)
    distribution: Tensor | None = None
    class_weights: Tensor | None = None

    @property
    def target(self) -> Tensor:
        """The target of `cross_entropy`: the soft labels if there are any."""
        return self.labels if self.distribution is None else self.distribution

    def rows(self, index: Tensor) -> "Batch":
        """See `Faces.rows`."""
        index = index.to(self.labels.device)
        soft = None if self.distribution is None else self.distribution[index]
        return replace(super().rows(index), labels=self.labels[index], distribution=soft)


@dataclass(frozen=True)
class Task:
    """What a head is built for: the `expressions` it classifies, and the feature `dimension` D.

    `text` (L, D) is the mean raw embedding of each expression's prompts, with the encoder's `logit_scale`; both None if
    the encoder has no text tower. `crop_side` is the S of the crops, or None.
    """

    expressions: tuple[str, ...]
    dimension: int
    text: Tensor | None = None
    logit_scale: float | None = None
    crop_side: int | None = None

    def text_and_scale(self) -> tuple[Tensor, Tensor]:
        """`text` (L, D), and `logit_scale` as a scalar tensor. Raises UsageError if the encoder has no text tower."""
        if self.text is None or self.logit_scale is None:
            raise UsageError(
                "This head compares faces with text, but the encoder has no text tower. Use an encoder with one."
            )
        return self.text.clone(), torch.tensor(self.logit_scale)


class HeadSettings(BaseModel):
    """Base of every head's settings; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    later: ClassVar[frozenset[str]] = frozenset()
    """Settings added after the first release: a default value is not part of a run's key."""

    def identity(self) -> dict[str, Any]:
        """The settings in a run's key, as JSON."""
        fields = type(self).model_fields
        usual = {
            name for name in self.later if getattr(self, name) == fields[name].get_default(call_default_factory=True)
        }
        return {name: value for name, value in self.model_dump(mode="json").items() if name not in usual}


class FitSettings(HeadSettings):
    """Settings of `training.train_head` for heads trained by gradient descent.

    The schedule `cosine` falls to zero; `exponential` multiplies the learning rate by `decay` each epoch; the first
    epoch may have its own rate. `momentum` is for `sgd`. `balance` equalises the expressions of the source by weights
    in the cross-entropy or in the sampling. With a `recipe` other than `clean`, each epoch draws one of its stored
    views, or the clean one, for each face. With `precision` bf16, matrix products and convolutions of the loss use
    16 bits; weights keep 32.
    """

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    batch_size: int = Field(ge=1)
    epochs: int = Field(ge=1)
    schedule: Literal["exponential", "cosine", "constant"] = "cosine"
    decay: float = Field(0.9, gt=0, le=1)
    first_learning_rate: float | None = Field(None, gt=0)
    balance: Literal["none", "weights", "sampling"] = "none"
    recipe: str = "clean"
    precision: Literal["fp32", "bf16"] = "fp32"


class TrunkSettings(FitSettings):
    """Settings of a head on a trunk: the trunk's name and, for a trunk that sees pixels, its weights and input.

    `trunk_weights` is a file, or `pretrained` for timm's own; `trunk_options` are timm's, written `patch_size=2,...`;
    `crops` is the side of the stored crops, by default of those stored last.
    """

    trunk: str = "mlp"
    trunk_weights: str = RANDOM
    trunk_options: dict[str, bool | int | float | str] = {}
    crops: int | None = Field(None, ge=1)

    @field_validator("trunk_options", mode="before")
    @classmethod
    def _read_options(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        pairs = (pair.partition("=") for pair in given.split(",") if pair.strip())
        return {name.strip(): _value(text.strip()) for name, _, text in pairs}

    def build_trunk(self, task: Task) -> Trunk:
        """The trunk with random weights. Raises UsageError for an unknown name, or options that do not fit."""
        family = registry.trunk_family(self.trunk)
        trunk: Trunk = family(self.trunk, task.dimension, task.crop_side, self.trunk_options)
        return trunk


def published_on_pixels(given: dict[str, Any], published: Mapping[str, Any]) -> dict[str, Any]:
    """The `given` settings; for a trunk that sees pixels, a paper's own settings are the defaults."""
    sees_pixels = "trunk" in given and registry.trunk_family(given["trunk"]).needs_crops
    return {**published, **given} if sees_pixels else given


def _value(text: str) -> bool | int | float | str:
    for parse in (int, float):
        try:
            return parse(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


class Head(nn.Module, ABC):
    """What both kinds of head share."""

    Settings: ClassVar[type[HeadSettings]]
    needs_text: ClassVar[bool] = False
    seeded: ClassVar[bool] = True
    """False for a head without randomness, which needs one seed only."""
    learns_shift: ClassVar[bool] = False
    """Whether it is a fitted head with `learn_shift`, and so learns from corrupted images of the source."""

    def __init__(self, task: Task, settings: HeadSettings) -> None:
        super().__init__()
        self.task = task

    def keep_text(self) -> None:
        """Stores the task's text and logit scale with the head, as buffers. Raises UsageError if there are none."""
        text, logit_scale = self.task.text_and_scale()
        self.register_buffer("text", text)
        self.register_buffer("logit_scale", logit_scale)

    @classmethod
    def needs_crops(cls, settings: HeadSettings) -> bool:
        """Whether it sees pixels with these settings. Raises UsageError for an unknown trunk."""
        return isinstance(settings, TrunkSettings) and bool(registry.trunk_family(settings.trunk).needs_crops)

    @abstractmethod
    def logits(self, faces: Faces) -> Tensor:
        """(B, L) scores of the task's expressions; a face's scores do not depend on the other faces."""

    def readouts(self, faces: Faces) -> Mapping[str, Tensor]:
        """Further readouts of the head, by name, each (B, L): CAFE's grouped channels."""
        return {}

    def mask(self, faces: Faces) -> Tensor | None:
        """(B, D) channel mask in [0, 1], if the head has one."""
        return None


class GradientHead(Head):
    """Trained by `training.train_head`; its settings are `FitSettings`."""

    def start(self, train: Batch, validation: Batch, seed: int) -> None:
        """Called once, before training, for heads that initialise their weights from the source's faces.

        `validation` is empty if the source has too few faces to select by.
        """

    @abstractmethod
    def loss(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The weighted terms, whose sum is minimised. All randomness comes from `generator` (a CPU generator)."""


class FittedHead(Head):
    """Fitted directly, once per candidate; a selection policy chooses among the candidates.

    `candidates` may call `watch` with numbers of faces, the number of training faces in all, as its work goes on.
    """

    watch: Callable[[int], None] = staticmethod(lambda faces: None)

    def learn_shift(self, clean: Tensor, corrupted: Tensor) -> None:
        """Called once, before `candidates`, with the features (M, D) of the same faces in clean and corrupted images.

        They are source validation's, without labels. Not called if the source has no corrupted images.
        """

    @abstractmethod
    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        """Puts the head into the state of each candidate, and yields the settings that distinguish it.

        From the most to the least regularised, since policies take the first among equals: `{"C": 0.01}`, `{"C": 0.1}`.
        A head without a choice yields `{}` once. Source validation is not available here. The features of `train` may
        be on disk: see `Faces.blocks`.
        """
