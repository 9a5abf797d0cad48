"""What the bundled encoders learn from: labels and captions, or captions and views of the same face."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from fercache.encoders.bundled import captions
from fercache.encoders.bundled.batches import RealBatches, RealPairs, SyntheticBatch, SyntheticBatches
from fercache.encoders.bundled.faces import RealFaces, SyntheticFaces
from fercache.encoders.bundled.recipe import TrainingRecipe
from fercache.encoders.bundled.sentences import AUTOCAST, Sentences
from fercache.expressions import EXPRESSIONS
from fercache.identity import seed_from

HARD = ("turn", "pose")  # attributes that need every step
PROJECTED = 128  # dimensions in which views are compared


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over the rows of -sum(target * log softmax(logits)); both (B, L)."""
    return -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()


def view_loss(projected: Tensor, temperature: float) -> Tensor:
    """NT-Xent (SimCLR, Chen et al., 2020, eq. 1) of (B, P) embeddings, whose rows n and n + B / 2 are of one face."""
    rows, count = normalize(projected, dim=1), len(projected)
    likeness = (rows @ rows.T / temperature).fill_diagonal_(-1e4)
    return cross_entropy(likeness, torch.arange(count).roll(count // 2))


class Objective(ABC):
    """The terms of the loss of a `model` on random batches.

    `weights` has one for each term. `projector` is trained too, but is no part of the encoder.
    """

    weights: Mapping[str, float]
    projector: nn.Module

    def __init__(self, recipe: TrainingRecipe, model: Any, drawn: SyntheticFaces, *, rank: int) -> None:
        self.recipe, self.model, self.rank = recipe, model, rank
        self.drawn, self.sentences = SyntheticBatches(recipe, drawn), Sentences(model)
        self.seed(0)

    def seed(self, step: int) -> None:
        """Make what is random from now on a function of the `step`."""
        seed = seed_from("bundled", self.recipe.seed, self.rank, step)
        self.generator = torch.Generator().manual_seed(seed)
        self.random = np.random.default_rng(seed)

    @abstractmethod
    def terms(self, step: int) -> dict[str, Tensor]:
        """The unweighted terms on a new batch."""

    def features(self, real: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """(R, 3, S, S) and (B, 3, S, S) faces, encoded together -> (R, D) and (B, D)."""
        pixels = (torch.cat([real, drawn]) - 0.5) / 0.25
        with AUTOCAST:
            features = self.model.encode_image(pixels.contiguous(memory_format=torch.channels_last))
        of_real, of_drawn = features.float().tensor_split([len(real)])
        return of_real, of_drawn

    def caption_loss(self, features: Tensor, batch: SyntheticBatch) -> Tensor:
        """CLIP's symmetric loss; all faces that a caption describes count equally as its positives."""
        expression, values = batch.expression, batch.attributes
        named = torch.from_numpy(self.random.random(values.shape) < self.recipe.attribute_share) & (values >= 0)
        says_expression = torch.from_numpy(self.random.random(len(values)) < self.recipe.expression_share)
        says_expression |= ~named.any(dim=1)
        sentences = [
            captions.caption(EXPRESSIONS[face] if says else "", row, marked, self.random)
            for face, says, row, marked in zip(
                expression.tolist(), says_expression.tolist(), values.numpy(), named.numpy(), strict=True
            )
        ]
        agree = (~named[None] | (values[:, None] == values[None])).all(dim=2)  # (face, caption)
        agree &= ~says_expression[None] | (expression[:, None] == expression[None])
        true = agree.float()
        logits = self.model.logit_scale.exp() * features @ self.sentences(sentences).T
        by_face = soft_cross_entropy(logits, true / true.sum(dim=1, keepdim=True))
        by_caption = soft_cross_entropy(logits.T, true.T / true.T.sum(dim=1, keepdim=True))
        return (by_face + by_caption) / 2


class Labelled(Objective):
    """Every step classifies faces by expression and synthetic faces by some attributes, in sampled sentences."""

    def __init__(
        self, recipe: TrainingRecipe, model: Any, real: RealFaces, drawn: SyntheticFaces, *, rank: int
    ) -> None:
        super().__init__(recipe, model, drawn, rank=rank)
        self.real, self.projector = RealBatches(recipe, real), nn.Sequential()
        self.weights = {
            "real": 1.0,
            "drawn": recipe.drawn_weight,
            "attributes": recipe.attribute_weight,
            "captions": recipe.caption_weight,
        }

    def terms(self, step: int) -> dict[str, Tensor]:
        """See `Objective.terms`."""
        (real, votes), drawn = self.real.take(step, self.generator), self.drawn.take(step, self.generator)
        of_real, of_drawn = (normalize(features, dim=1) for features in self.features(real, drawn.pixels))
        real_loss, drawn_loss = self.expression_loss(
            of_real, votes, of_drawn, drawn.expression, adjustment=self.real.adjustment(step)
        )
        return {
            "real": real_loss,
            "drawn": drawn_loss,
            "attributes": self.attribute_loss(of_drawn, drawn.attributes),
            "captions": self.caption_loss(of_drawn, drawn),
        }

    def expression_loss(
        self, real: Tensor, votes: Tensor, drawn: Tensor, expression: Tensor, *, adjustment: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Soft cross-entropy over the expressions, on real and on synthetic faces, for two forms of sentence."""
        scale, count = self.model.logit_scale.exp(), len(EXPRESSIONS)
        smoothed = torch.full((len(expression), count), self.recipe.smoothing / count)
        smoothed.scatter_add_(1, expression[:, None], torch.full((len(expression), 1), 1 - self.recipe.smoothing))
        sentences = [text for _ in range(2) for text in captions.expression_sentences(EXPRESSIONS, self.random)]
        losses = [
            (
                soft_cross_entropy(scale * real @ text.T + adjustment, votes),
                soft_cross_entropy(scale * drawn @ text.T, smoothed),
            )
            for text in self.sentences(sentences).split(count)
        ]
        real_losses, drawn_losses = zip(*losses, strict=True)
        return torch.stack(real_losses).mean(), torch.stack(drawn_losses).mean()

    def attribute_loss(self, drawn: Tensor, values: Tensor) -> Tensor:
        """Cross-entropy over the values of some attributes, with sentences for each; unknown values are skipped."""
        names = list(captions.VALUES)
        others = [column for column, name in enumerate(names) if name not in HARD]
        chosen = [names.index(name) for name in HARD]
        chosen += self.random.choice(others, self.recipe.attributes_per_step - len(HARD), replace=False).tolist()
        sentences = [captions.attribute_sentences(names[column], self.random) for column in chosen]
        flat = self.sentences([text for group in sentences for text in group])
        texts = flat.split([len(group) for group in sentences])
        scale = self.model.logit_scale.exp()
        losses = [
            cross_entropy(scale * drawn @ text.T, values[:, column], ignore_index=-1)
            for text, column in zip(texts, chosen, strict=True)
            if (values[:, column] >= 0).any()
        ]
        return torch.stack(losses).mean()


class General(Objective):
    """Every step brings two views of each real face together, and synthetic faces and their captions."""

    def __init__(
        self, recipe: TrainingRecipe, model: Any, real: RealFaces, drawn: SyntheticFaces, *, rank: int
    ) -> None:
        super().__init__(recipe, model, drawn, rank=rank)
        width = model.visual.head.proj.out_features
        self.real = RealPairs(recipe, real)
        self.projector = nn.Sequential(
            nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, PROJECTED)
        )
        self.weights = {"views": 1.0, "captions": recipe.caption_weight}

    def terms(self, step: int) -> dict[str, Tensor]:
        """See `Objective.terms`."""
        real, drawn = self.real.take(step, self.generator), self.drawn.take(step, self.generator)
        of_real, of_drawn = self.features(real, drawn.pixels)
        return {
            "views": view_loss(self.projector(of_real), self.recipe.view_temperature),
            "captions": self.caption_loss(normalize(of_drawn, dim=1), drawn),
        }
