"""Our combination of both papers: CAFE's mask selects channels of the face feature, KE2NT's text scores them."""

import torch
from pydantic import Field
from torch import Tensor

from fercache import losses
from fercache.heads import Batch, Task
from fercache.heads.text_similarity import TextSimilarity, TextSimilaritySettings
from fercache.trunks import Faces, to_dimension


class MaskedTextSettings(TextSimilaritySettings):
    """KE2NT's, and CAFE's lambda (`separation_weight`) and beta (`diversity_weight`) on the masked channels."""

    cafe_variant: losses.CafeVariant = "paper"
    separation_weight: float = Field(0.0, ge=0)
    diversity_weight: float = Field(0.0, ge=0)


class MaskedText(TextSimilarity):
    """f_e = sigmoid(M) * F, with the trunk's M: text similarity can only reweight the encoder's own channels.

    On cached features M starts at zero, so all channels count equally and an untrained head equals `zero-shot`.
    """

    Settings = MaskedTextSettings
    settings: MaskedTextSettings

    def __init__(self, task: Task, settings: MaskedTextSettings) -> None:
        super().__init__(task, settings)
        self.projection = to_dimension(self.trunk.width, task.dimension)

    def mask(self, faces: Faces) -> Tensor:
        """(B, D)."""
        return losses.sigmoid_mask(self.projection(self.trunk(faces)))

    def embed(self, faces: Faces) -> Tensor:
        """(B, D) masked features."""
        return losses.mask_features(faces.features, self.mask(faces))

    def loss(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """KE2NT's three weighted terms on the masked features, plus CAFE's separation and diversity if weighted."""
        masked = self.embed(batch)
        terms = self.text_terms(masked, batch)
        groups, channels = len(self.task.expressions), masked.shape[1]
        variant = self.settings.cafe_variant
        if self.settings.separation_weight:
            keep = losses.draw_channel_keep(channels, groups, generator).to(masked)
            separated = losses.group_maxima(losses.drop_channels(masked, keep), groups, variant)
            separation = losses.separation_loss(separated, batch.target, batch.class_weights)
            terms["separation"] = self.settings.separation_weight * separation
        if self.settings.diversity_weight:
            diversity = losses.diversity_loss(losses.group_maxima(masked, groups, variant), channels, variant)
            terms["diversity"] = self.settings.diversity_weight * diversity
        return terms


plugin = MaskedText
