"""The two head contracts. Every other file in this folder is one head.

A head is a `torch.nn.Module`: what `state_dict` holds is what a run stores. It knows neither files nor data sets.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from fercache.errors import UsageError


@dataclass(frozen=True)
class Batch:
    """Faces on one device: `features` (B, D) raw, `labels` (B,) int64, and `distribution` (B, L) where labels are soft.

    With soft labels, `labels` names the most likely expression. `class_weights` (L,) weigh the expressions in a
    cross-entropy; None weighs all alike.
    """

    features: Tensor
    labels: Tensor
    distribution: Tensor | None = None
    class_weights: Tensor | None = None

    @property
    def target(self) -> Tensor:
        """What `cross_entropy` is to be given: the soft labels where there are any."""
        return self.labels if self.distribution is None else self.distribution

    def rows(self, index: Tensor) -> "Batch":
        """The faces that `index` (B',) points at."""
        soft = None if self.distribution is None else self.distribution[index]
        return replace(self, features=self.features[index], labels=self.labels[index], distribution=soft)


@dataclass(frozen=True)
class Task:
    """What a head is built for: the `expressions` it tells apart, and the feature `dimension` D.

    `text` (L, D) is the mean raw embedding of each expression's prompts, with the encoder's `logit_scale`; both None
    when the encoder knows no text.
    """

    expressions: tuple[str, ...]
    dimension: int
    text: Tensor | None = None
    logit_scale: float | None = None

    def text_and_scale(self) -> tuple[Tensor, Tensor]:
        """`text` (L, D), and `logit_scale` as a scalar tensor. Raises UsageError when the encoder knows no text."""
        if self.text is None or self.logit_scale is None:
            raise UsageError(
                "This head compares faces with text, which the encoder does not know. Use one with a text tower."
            )
        return self.text.clone(), torch.tensor(self.logit_scale)


class HeadSettings(BaseModel):
    """Base of every head's settings; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FitSettings(HeadSettings):
    """What `training.train_head` needs to know of a head that is trained by gradient descent.

    The schedule `cosine` falls to zero; `exponential` multiplies the learning rate by `decay` each epoch. `momentum`
    is for `sgd`. `balance` evens out the expressions of the source, by weights in the cross-entropy or in the sampling.
    """

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    batch_size: int = Field(ge=1)
    epochs: int = Field(ge=1)
    schedule: Literal["exponential", "cosine", "constant"] = "cosine"
    decay: float = Field(0.9, gt=0, le=1)
    balance: Literal["none", "weights", "sampling"] = "none"


class Head(nn.Module, ABC):
    """What both kinds share."""

    Settings: ClassVar[type[HeadSettings]]
    needs_text: ClassVar[bool] = False
    seeded: ClassVar[bool] = True
    """False for a head in which nothing is random, so that one seed says all."""

    def __init__(self, task: Task, settings: HeadSettings) -> None:
        super().__init__()
        self.task = task

    @abstractmethod
    def logits(self, features: Tensor) -> Tensor:
        """(B, D) raw features -> (B, L) scores of the task's expressions; a face's do not depend on the other faces."""

    def readouts(self, features: Tensor) -> Mapping[str, Tensor]:
        """Further ways to read the head, by name, each (B, L): CAFE's grouped channels."""
        return {}

    def mask(self, features: Tensor) -> Tensor | None:
        """(B, D) channel mask in [0, 1], for a head that has one."""
        return None


class GradientHead(Head):
    """Trained by `training.train_head`; its settings are `FitSettings`."""

    @abstractmethod
    def loss(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The weighted terms, whose sum is minimised. All randomness comes from `generator` (a CPU generator)."""


class FittedHead(Head):
    """Fitted in one go; hyper-parameters are chosen on `validation`, which is of the source."""

    @abstractmethod
    def fit(self, train: Batch, validation: Batch, seed: int) -> dict[str, float]:
        """Fits in place and returns what was chosen, for the history."""
