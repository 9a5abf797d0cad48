"""KE2NT (arXiv 2409.08598) on cached features: text similarity with an emotional-to-neutral transformation."""

import torch
from pydantic import Field
from torch import Tensor, nn

from fercache import losses, registry
from fercache.errors import UsageError
from fercache.heads import Batch, FitSettings, GradientHead, Task
from fercache.trunks import Trunk

TRANSFORMATION_WIDTH = 128


class TextSimilaritySettings(FitSettings):
    """`variant` says how the self-contrast pairs faces with neutrals (`losses.ContrastVariant`)."""

    trunk: str = "mlp"
    variant: losses.ContrastVariant = "paired"
    similarity_weight: float = Field(1.0, ge=0)
    transformation_weight: float = Field(1.0, ge=0)
    self_contrast_weight: float = Field(1.0, ge=0)
    learning_rate: float = Field(3e-4, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    batch_size: int = Field(128, ge=1)
    epochs: int = Field(20, ge=1)


class TextSimilarity(GradientHead):
    """The face, moved by a residual trunk, is compared with each expression's text.

    f_e = F + trunk(F), whose last layer starts at zero: an untrained head is exactly `zero-shot`. T, the transformation
    into the neutral representation, is used in training only.
    """

    Settings = TextSimilaritySettings
    needs_text = True

    text: Tensor
    logit_scale: Tensor

    def __init__(self, task: Task, settings: TextSimilaritySettings) -> None:
        super().__init__(task, settings)
        if "neutral" not in task.expressions:
            raise UsageError(
                "text-similarity learns from the way between an emotional and a neutral face, but the source has no "
                f"neutral faces; it has: {', '.join(task.expressions)}. Use another head, such as sigmoid-mask."
            )
        self.settings = settings
        self.neutral_index = task.expressions.index("neutral")
        text, logit_scale = task.text_and_scale()
        self.register_buffer("text", text)
        self.register_buffer("logit_scale", logit_scale)
        self.trunk: Trunk = registry.load("trunks", settings.trunk)(task.dimension)
        nn.init.zeros_(self.trunk.output.weight)
        nn.init.zeros_(self.trunk.output.bias)
        self.to_neutral = nn.Sequential(
            nn.Linear(task.dimension, TRANSFORMATION_WIDTH),
            nn.ReLU(),
            nn.Linear(TRANSFORMATION_WIDTH, task.dimension),
        )

    def embed(self, features: Tensor) -> Tensor:
        """(B, D) raw features -> f_e (B, D) in the text's space, un-normalised."""
        moved: Tensor = features + self.trunk(features)
        return moved

    def logits(self, features: Tensor) -> Tensor:
        """(B, D) raw features -> (B, L) scaled cosines of f_e with the texts."""
        return losses.similarity_logits(self.embed(features), self.text, self.logit_scale)

    def loss(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The three weighted terms. Gradients of the second and third reach f_e through T as well."""
        embedding = self.embed(batch.features)
        neutral = self.to_neutral(embedding)
        similarity = losses.similarity_logits(embedding, self.text, self.logit_scale)
        pair = (embedding, neutral, self.text, batch.labels, self.neutral_index)
        return losses.ke2nt_terms(
            losses.similarity_loss(similarity, batch.target, batch.class_weights),
            losses.transformation_loss(*pair),
            losses.self_contrast_loss(*pair, self.settings.variant, self.logit_scale),
            similarity_weight=self.settings.similarity_weight,
            transformation_weight=self.settings.transformation_weight,
            self_contrast_weight=self.settings.self_contrast_weight,
        )


plugin = TextSimilarity
