"""Tip-Adapter (arXiv 2111.03930): text similarity plus similarity to a few labelled faces."""

from collections.abc import Iterator

import torch
from pydantic import Field
from torch import Tensor

from fercache.heads import Batch, FittedHead, Head, HeadSettings, Task
from fercache.heads.knn import FACES_AT_ONCE, Memory, parts_of
from fercache.losses import similarity_logits
from fercache.trunks import Faces

ALPHAS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Possible weights of the stored faces relative to the text."""

BETAS = (1.0, 4.0, 16.0, 64.0)
"""Possible sharpness values: faces are more alike than the paper's objects, and need larger ones."""

SHOTS = 16
"""Faces per expression, as in the paper."""


class TextAndMemory(Head):
    """scale cos(f, t) + alpha sum_i exp(-beta (1 - cos(f, f_i))) y_i: logits of the text, plus those of stored faces.

    Every pair of alpha and beta is a candidate. The paper searches on validation faces of the data that is scored; here
    those would be the target's, which must stay unseen.
    """

    needs_text = True

    text: Tensor
    logit_scale: Tensor
    alpha: Tensor
    beta: Tensor

    def __init__(self, task: Task, settings: HeadSettings) -> None:
        super().__init__(task, settings)
        self.keep_text()
        self.register_buffer("alpha", torch.tensor(1.0))
        self.register_buffer("beta", torch.tensor(1.0))
        self.memory = Memory(task.dimension, len(task.expressions))

    def logits(self, faces: Faces) -> Tensor:
        """(B, L)."""
        remembered = torch.cat([self._evidence(part, self.beta) for part in parts_of(faces.features, FACES_AT_ONCE)])
        return self._text_logits(faces) + self.alpha * remembered

    def remember(self, train: Batch, shots: int, seed: int) -> None:
        """Fills the memory with `shots` faces of each expression of `train`."""
        self.memory.fill(train.rows(draw_shots(train.labels.cpu(), shots, seed)))

    def weighings(self) -> Iterator[dict[str, float | str]]:
        """Sets each pair of alpha and beta, in decreasing order of trust in the text."""
        for alpha in ALPHAS:
            for beta in BETAS:
                self.alpha.fill_(alpha)
                self.beta.fill_(beta)
                yield {"alpha": alpha, "beta": beta}

    def _text_logits(self, faces: Faces) -> Tensor:
        return similarity_logits(faces.features, self.text, self.logit_scale)

    def _evidence(self, features: Tensor, beta: Tensor | float) -> Tensor:
        """(B, D) -> (B, L): the stored faces' affinities, summed by expression."""
        return torch.exp(-beta * (1 - self.memory.cosines(features))) @ self.memory.values


def draw_shots(labels: Tensor, shots: int, seed: int) -> Tensor:
    """Rows of up to `shots` faces of each of the `labels` (N,); 0 means all."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    if shots == 0:
        return order.sort().values
    drawn = [order[labels[order] == label][:shots] for label in labels.unique()]
    return torch.cat(drawn)


class TipAdapterSettings(HeadSettings):
    """`shots`: how many faces of each expression are stored, drawn with the seed; 0 means all."""

    shots: int = Field(SHOTS, ge=0)


class TipAdapter(TextAndMemory, FittedHead):
    """Without training: the stored faces are compared unchanged. `tip-adapter-f` trains them."""

    Settings = TipAdapterSettings

    def __init__(self, task: Task, settings: TipAdapterSettings) -> None:
        super().__init__(task, settings)
        self.shots = settings.shots

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        """Each alpha with each beta."""
        self.remember(train, self.shots, seed)
        yield from self.weighings()


plugin = TipAdapter
