"""Random batches of training faces, as tensors."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fercache.encoders.bundled import augment, captions
from fercache.encoders.bundled.faces import RealFaces, SyntheticFaces
from fercache.encoders.bundled.recipe import TrainingRecipe


class RealBatches:
    """FERPlus faces with the shares of their votes; rare expressions come more often than they are.

    `adjustment` is added to the logits in training: see `Phase`.
    """

    def __init__(self, recipe: TrainingRecipe, faces: RealFaces) -> None:
        distribution = faces.distribution()
        kept = distribution.sum(axis=1) > 0
        self.recipe = recipe
        self.pixels, self.votes = torch.from_numpy(faces.pixels[kept])[:, None], torch.from_numpy(distribution[kept])
        frequency = self.votes.mean(dim=0).clamp_min(1e-4)
        self.chance = (self.votes * frequency**-recipe.balance).sum(dim=1)
        sampled = (self.chance[:, None] * self.votes).sum(dim=0).clamp_min(1e-4) / self.chance.sum()
        self._frequency, self._sampled = frequency.log(), sampled.log()

    def adjustment(self, step: int) -> Tensor:
        """(8,), one number for each expression."""
        phase, _ = self.recipe.phase(step)
        return self._sampled - (1 - phase.adjustment) * self._frequency

    def take(self, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) faces and (B, 8) shares of the votes."""
        recipe, (phase, _) = self.recipe, self.recipe.phase(step)
        count = recipe.real_batch // recipe.processes
        rows = torch.multinomial(self.chance, count, replacement=True, generator=generator)
        mirrored = torch.rand(count, generator=generator) < 0.5
        zoom, degrees = ((0.85, 1.15), 10) if phase.gentle else ((0.75, 1.3), 18)
        original, size = self.pixels[rows].float() / 255, recipe.size(step)
        faces, votes = augment.moved(original, mirrored, size, generator, zoom=zoom, degrees=degrees), self.votes[rows]
        plain = int(recipe.plain_share * count) if phase.gentle else 0
        faces[plain:] = augment.degraded(augment.relit(faces[plain:], generator), recipe.degraded_share, generator)
        order = torch.randperm(count, generator=generator)  # else only degraded faces would be mixed
        faces, votes = faces[order], votes[order]
        if not phase.gentle:
            faces, votes = augment.mixed(faces, votes, recipe.mixed_share, generator)
        return augment.erased(augment.tinted(faces, 0.5, generator), 0.4, generator), votes


class RealPairs:
    """FERPlus faces without their labels, each changed in two ways."""

    def __init__(self, recipe: TrainingRecipe, faces: RealFaces) -> None:
        self.recipe, self.pixels = recipe, torch.from_numpy(faces.pixels)[:, None]

    def take(self, step: int, generator: torch.Generator) -> Tensor:
        """(B, 3, S, S) faces; rows n and n + B / 2 show the same one."""
        count = self.recipe.real_batch // self.recipe.processes // 2
        rows = torch.randint(len(self.pixels), (count,), generator=generator)
        original, size = self.pixels[rows].float() / 255, self.recipe.size(step)
        return torch.cat([self._view(original, size, generator) for _ in range(2)])

    def _view(self, original: Tensor, size: int, generator: torch.Generator) -> Tensor:
        mirrored = torch.rand(len(original), generator=generator) < 0.5
        faces = augment.moved(original, mirrored, size, generator, zoom=(0.55, 1.15), degrees=15)
        order = torch.randperm(len(faces), generator=generator)  # else the same faces would be degraded in both views
        faces = augment.degraded(augment.relit(faces[order], generator), 0.5, generator)
        faces = augment.erased(augment.tinted(faces, 0.3, generator), 0.3, generator)
        return torch.empty_like(faces).index_copy_(0, order, faces)


@dataclass(frozen=True)
class SyntheticBatch:
    """Synthetic faces: (B, 3, S, S) pixels, (B,) expressions, (B, A) values of attributes, -1 unknown."""

    pixels: Tensor
    expression: Tensor
    attributes: Tensor


class SyntheticBatches:
    """Synthetic faces, a part of them grey, which no longer show their style or the colour of their hair."""

    def __init__(self, recipe: TrainingRecipe, faces: SyntheticFaces) -> None:
        self.recipe = recipe
        self.pixels = torch.from_numpy(faces.pixels).permute(0, 3, 1, 2)
        self.expression, self.attributes = torch.from_numpy(faces.expression), torch.from_numpy(faces.attributes)
        self.mirrors = mirror_table()

    def take(self, step: int, generator: torch.Generator) -> SyntheticBatch:
        """One batch."""
        size = self.recipe.size(step)
        count = self.recipe.drawn_batch // self.recipe.processes
        rows = torch.randint(len(self.pixels), (count,), generator=generator)
        mirrored = torch.rand(count, generator=generator) < 0.5
        # A turn of the image by more would make a straight head a tilted one.
        faces = augment.moved(self.pixels[rows].float() / 255, mirrored, size, generator, zoom=(0.65, 1.3), degrees=5)
        faces = augment.greyed(augment.relit(faces, generator), self.recipe.photograph_share)
        faces = augment.degraded(faces, 0.5 + self.recipe.degraded_share / 2, generator)
        values = self.attributes[rows]
        for column, places in enumerate(self.mirrors):
            flipped = mirrored & (values[:, column] >= 0)
            values[flipped, column] = places[values[flipped, column]]
        unseen = count - int(self.recipe.photograph_share * count)
        for name in ("style", "colour"):
            values[unseen:, list(captions.VALUES).index(name)] = -1
        return SyntheticBatch(augment.tinted(faces, 0.25, generator), self.expression[rows], values)


def mirror_table() -> list[Tensor]:
    """For each attribute, the index of each value after the image is flipped."""
    return [
        torch.tensor([values.index(captions.MIRROR.get(value, value)) for value in values])
        for values in captions.VALUES.values()
    ]
