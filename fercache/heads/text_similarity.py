"""KE2NT (arXiv 2409.08598): text similarity with an emotional-to-neutral transformation."""

from typing import Any, ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from fercache import losses
from fercache.errors import UsageError
from fercache.heads import Batch, GradientHead, Task, TrunkSettings, published_on_pixels
from fercache.trunks import Faces

TRANSFORMATION_WIDTH = 128
PUBLISHED = {
    "optimizer": "sgd",
    "learning_rate": 2e-3,
    "first_learning_rate": 1e-4,
    "weight_decay": 5e-4,
    "batch_size": 64,
    "epochs": 50,
}
"""KE2NT's training settings; the defaults of a trunk that sees pixels."""


class TextSimilaritySettings(TrunkSettings):
    """`variant` is how the self-contrast pairs faces with neutrals (`losses.ContrastVariant`)."""

    variant: losses.ContrastVariant = "paired"
    similarity_weight: float = Field(1.0, ge=0)
    transformation_weight: float = Field(1.0, ge=0)
    self_contrast_weight: float = Field(1.0, ge=0)
    learning_rate: float = Field(3e-4, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    batch_size: int = Field(128, ge=1)
    epochs: int = Field(20, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _as_published_on_pixels(cls, given: dict[str, Any]) -> dict[str, Any]:
        return published_on_pixels(given, PUBLISHED)


class TextSimilarity(GradientHead):
    """A trunk maps the face into the text's space, where it is compared with each expression's text.

    On cached features f_e = F + trunk(F), whose last layer starts at zero: an untrained head is exactly `zero-shot`. A
    trunk on pixels is projected into the text's space, without F. T, the transformation into the neutral
    representation, is used in training only.
    """

    Settings: ClassVar[type[TextSimilaritySettings]] = TextSimilaritySettings
    needs_text = True

    text: Tensor
    logit_scale: Tensor

    def __init__(self, task: Task, settings: TextSimilaritySettings) -> None:
        super().__init__(task, settings)
        if "neutral" not in task.expressions:
            raise UsageError(
                "This head learns the transformation from emotional to neutral faces, but the source has no neutral "
                f"faces, only {', '.join(task.expressions)}. Use another head, such as sigmoid-mask."
            )
        self.settings = settings
        self.neutral_index = task.expressions.index("neutral")
        self.keep_text()
        self.trunk = settings.build_trunk(task)
        if self.trunk.needs_crops:
            self.projection = _projection(self.trunk.width, task.dimension)
        else:
            self.trunk.zero_output()
        self.to_neutral = nn.Sequential(
            nn.Linear(task.dimension, TRANSFORMATION_WIDTH),
            nn.ReLU(),
            nn.Linear(TRANSFORMATION_WIDTH, task.dimension),
        )

    def embed(self, faces: Faces) -> Tensor:
        """f_e (B, D) in the text's space, un-normalised."""
        represented: Tensor = self.trunk(faces)
        if not self.trunk.needs_crops:
            return faces.features + represented
        projected: Tensor = self.projection(represented)
        return projected

    def logits(self, faces: Faces) -> Tensor:
        """(B, L) scaled cosines of f_e with the texts."""
        return losses.similarity_logits(self.embed(faces), self.text, self.logit_scale)

    def loss(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The three weighted terms. Gradients of the second and third reach f_e through T as well."""
        return self.text_terms(self.embed(batch), batch)

    def text_terms(self, embedding: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The same terms for faces whose f_e is `embedding` (B, D)."""
        neutral = self.to_neutral(embedding)
        similarity = losses.similarity_logits(embedding, self.text, self.logit_scale)
        pair = (embedding, neutral, self.text, batch.labels, self.neutral_index)
        return losses.ke2nt_terms(
            losses.similarity_loss(similarity, batch.target, batch.class_weights),
            losses.transformation_loss(*pair),
            losses.self_contrast_loss(*pair, losses.Contrast(self.settings.variant, self.logit_scale)),
            similarity_weight=self.settings.similarity_weight,
            transformation_weight=self.settings.transformation_weight,
            self_contrast_weight=self.settings.self_contrast_weight,
        )


def _projection(width: int, dimension: int) -> nn.Module:
    """KE2NT's own for Swin-T (768 -> 768 -> BN -> 512 -> BN), for a trunk of any width."""
    return nn.Sequential(
        nn.Linear(width, width), nn.BatchNorm1d(width), nn.Linear(width, dimension), nn.BatchNorm1d(dimension)
    )


plugin = TextSimilarity
