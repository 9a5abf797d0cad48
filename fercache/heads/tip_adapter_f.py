"""Tip-Adapter-F (arXiv 2111.03930): Tip-Adapter with trained keys."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fercache.heads import Batch, FitSettings, GradientHead, Task
from fercache.heads.tip_adapter import SHOTS, TextAndMemory
from fercache.losses import similarity_loss

ALPHA, BETA = 1.0, 4.0
"""The paper's alpha, and the possible beta closest to the paper's 5.5."""


class TipAdapterFSettings(FitSettings):
    """The paper's settings, and the `shots` of each expression that initialise the keys, as in `tip-adapter`."""

    shots: int = Field(SHOTS, ge=0)
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    batch_size: int = Field(256, ge=1)
    epochs: int = Field(20, ge=1)


class TipAdapterF(TextAndMemory, GradientHead):
    """The keys are trained by cross-entropy on all faces of the source; their labels and the text stay fixed.

    alpha and beta are chosen before training, so the loss is that of the final logits. Trained keys are not normalised
    again, as in the authors' code.
    """

    Settings = TipAdapterFSettings

    def __init__(self, task: Task, settings: TipAdapterFSettings) -> None:
        super().__init__(task, settings)
        self.shots = settings.shots
        self.memory.keys = nn.Parameter(self.memory.keys)

    def start(self, train: Batch, validation: Batch, seed: int) -> None:
        """Takes the keys from `train`, and the alpha and beta with the best accuracy on `validation`.

        If `validation` is empty, they are ALPHA and BETA.
        """
        self.remember(train, self.shots, seed)
        if len(validation.labels) == 0:
            self.alpha.fill_(ALPHA)
            self.beta.fill_(BETA)
            return
        best, chosen = -1, (self.alpha.clone(), self.beta.clone())
        with torch.no_grad():
            for _ in self.weighings():
                right = sum(int((self.logits(b).argmax(1) == b.labels).sum()) for b in validation.blocks())
                if right > best:
                    best, chosen = right, (self.alpha.clone(), self.beta.clone())
        self.alpha.copy_(chosen[0])
        self.beta.copy_(chosen[1])

    def loss(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The cross-entropy. Nothing is random."""
        return {"similarity": similarity_loss(self.logits(batch), batch.target, batch.class_weights)}


plugin = TipAdapterF
