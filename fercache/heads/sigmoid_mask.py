"""CAFE (arXiv 2408.10614): a trunk's sigmoid mask on the fixed face feature."""

from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from fercache import losses
from fercache.heads import Batch, GradientHead, Task, TrunkSettings, published_on_pixels
from fercache.trunks import Faces, to_dimension

PUBLISHED = {"learning_rate": 2e-4, "schedule": "exponential", "batch_size": 32, "epochs": 60}
"""CAFE's training settings; the defaults of a trunk that sees pixels."""


class SigmoidMaskSettings(TrunkSettings):
    """`variant` is the text's or the released code's (`losses.CafeVariant`).

    The paper's ablations are values of `mask`: `linear` multiplies the features F with the trunk's raw output M, `off`
    keeps F unchanged, `concat` reads [F, M], `trunk` reads M alone (the usual finetuning); the last three have no
    masked channels, so only the classification loss. A weight of 0 switches its term off.
    """

    variant: losses.CafeVariant = "paper"
    mask: Literal["sigmoid", "linear", "off", "concat", "trunk"] = "sigmoid"
    separation_weight: float = Field(1.5, ge=0)
    diversity_weight: float = Field(5.0, ge=0)
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    batch_size: int = Field(128, ge=1)
    epochs: int = Field(30, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _as_published_on_pixels(cls, given: dict[str, Any]) -> dict[str, Any]:
        return published_on_pixels(given, PUBLISHED)


class SigmoidMask(GradientHead):
    """A trunk's mask selects channels of the face feature F, which keeps its scale, and a linear layer reads them.

    The main readout is the linear layer; `groups` reads each expression from its own group of channels, without it.
    """

    Settings = SigmoidMaskSettings

    def __init__(self, task: Task, settings: SigmoidMaskSettings) -> None:
        super().__init__(task, settings)
        self.settings = settings
        if settings.mask != "off":
            self.trunk = settings.build_trunk(task)
            self.reduction = to_dimension(self.trunk.width, task.dimension)
        width = 2 * task.dimension if settings.mask == "concat" else task.dimension
        self.classifier = nn.Linear(width, len(task.expressions))

    @classmethod
    def needs_crops(cls, settings: Any) -> bool:
        """See `Head.needs_crops`."""
        return settings.mask != "off" and super().needs_crops(settings)

    def trunk_output(self, faces: Faces) -> Tensor:
        """M (B, D)."""
        reduced: Tensor = self.reduction(self.trunk(faces))
        return reduced

    def mask(self, faces: Faces) -> Tensor | None:
        """(B, D); outside [0, 1] only for `linear`, None without a mask."""
        if self.settings.mask == "sigmoid":
            return losses.sigmoid_mask(self.trunk_output(faces))
        return self.trunk_output(faces) if self.settings.mask == "linear" else None

    def read_channels(self, faces: Faces) -> Tensor:
        """The linear layer's input: (B, D) masked features, or (B, 2 D) for `concat`."""
        if self.settings.mask == "trunk":
            return self.trunk_output(faces)
        if self.settings.mask == "concat":
            return torch.cat([faces.features, self.trunk_output(faces)], dim=1)
        mask = self.mask(faces)
        return faces.features if mask is None else losses.mask_features(faces.features, mask)

    def logits(self, faces: Faces) -> Tensor:
        """(B, L)."""
        scores: Tensor = self.classifier(self.read_channels(faces))
        return scores

    def readouts(self, faces: Faces) -> dict[str, Tensor]:
        """`groups`: the maxima of the groups of masked channels, without dropping; empty without a mask."""
        return {"groups": self._maxima(self.read_channels(faces))} if self._grouped else {}

    def loss(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The three weighted terms of Eq. (9); the dropped channels are sampled for each batch."""
        read = self.read_channels(batch)
        classification = losses.classification_loss(self.classifier(read), batch.target, batch.class_weights)
        if not self._grouped:
            return {"classification": classification}
        channels = read.shape[1]
        keep = losses.draw_channel_keep(channels, len(self.task.expressions), generator).to(read)
        separated = self._maxima(losses.drop_channels(read, keep))
        return losses.cafe_terms(
            classification,
            losses.separation_loss(separated, batch.target, batch.class_weights),
            losses.diversity_loss(self._maxima(read), channels, self.settings.variant),
            separation_weight=self.settings.separation_weight,
            diversity_weight=self.settings.diversity_weight,
        )

    @property
    def _grouped(self) -> bool:
        return self.settings.mask in ("sigmoid", "linear")

    def _maxima(self, masked: Tensor) -> Tensor:
        return losses.group_maxima(masked, len(self.task.expressions), self.settings.variant)


plugin = SigmoidMask
