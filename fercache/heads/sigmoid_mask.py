"""CAFE (arXiv 2408.10614) on cached features: a sigmoid mask on the fixed face feature."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fercache import losses, registry
from fercache.heads import Batch, FitSettings, GradientHead, Task
from fercache.trunks import Trunk


class SigmoidMaskSettings(FitSettings):
    """`variant` is the text's or the released code's (`losses.CafeVariant`).

    The paper's ablations: `mask` `linear` uses the trunk's output as it is, `off` leaves the features unmasked; a
    weight of 0 switches its term off.
    """

    trunk: str = "mlp"
    variant: losses.CafeVariant = "paper"
    mask: Literal["sigmoid", "linear", "off"] = "sigmoid"
    separation_weight: float = Field(1.5, ge=0)
    diversity_weight: float = Field(5.0, ge=0)
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    batch_size: int = Field(128, ge=1)
    epochs: int = Field(30, ge=1)


class SigmoidMask(GradientHead):
    """A trunk's mask picks channels of the face feature F, which keeps its own scale, and a linear layer reads them.

    The main readout is the linear layer; `groups` reads each expression off its own group of channels, without it.
    """

    Settings = SigmoidMaskSettings

    def __init__(self, task: Task, settings: SigmoidMaskSettings) -> None:
        super().__init__(task, settings)
        self.settings = settings
        self.trunk: Trunk = registry.load("trunks", settings.trunk)(task.dimension)
        self.classifier = nn.Linear(task.dimension, len(task.expressions))

    def mask(self, features: Tensor) -> Tensor:
        """(B, D) raw features -> (B, D) mask; outside [0, 1] only when it is `linear`."""
        if self.settings.mask == "off":
            return torch.ones_like(features)
        mask_logits: Tensor = self.trunk(features)
        return losses.sigmoid_mask(mask_logits) if self.settings.mask == "sigmoid" else mask_logits

    def masked(self, features: Tensor) -> Tensor:
        """(B, D) raw features -> (B, D) masked features."""
        return losses.mask_features(features, self.mask(features))

    def logits(self, features: Tensor) -> Tensor:
        """(B, D) raw features -> (B, L)."""
        scores: Tensor = self.classifier(self.masked(features))
        return scores

    def readouts(self, features: Tensor) -> dict[str, Tensor]:
        """`groups`: the maxima of the groups of channels, without dropping."""
        return {"groups": self._maxima(self.masked(features))}

    def loss(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The three weighted terms of Eq. (9); the channels to drop are drawn anew for each batch."""
        masked = self.masked(batch.features)
        channels = masked.shape[1]
        keep = losses.draw_channel_keep(channels, len(self.task.expressions), generator).to(masked)
        separated = self._maxima(losses.drop_channels(masked, keep))
        return losses.cafe_terms(
            losses.classification_loss(self.classifier(masked), batch.target, batch.class_weights),
            losses.separation_loss(separated, batch.target, batch.class_weights),
            losses.diversity_loss(self._maxima(masked), channels, self.settings.variant),
            separation_weight=self.settings.separation_weight,
            diversity_weight=self.settings.diversity_weight,
        )

    def _maxima(self, masked: Tensor) -> Tensor:
        return losses.group_maxima(masked, len(self.task.expressions), self.settings.variant)


plugin = SigmoidMask
