"""A residual linear map of the feature, scored against text (ProLIP's black-box form, arXiv 2410.05270)."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from fercache.heads import Batch, FittedHead, HeadSettings, Task
from fercache.losses import similarity_logits
from fercache.trunks import Faces

PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
"""Possible weights of the penalty, the most regular map first."""

STEPS = 40
MOST_FACES = 50_000
"""Faces that the map is fitted to, at most: each penalty takes tens of passes over them."""


class Rla(FittedHead):
    """s cos(A x, t_k): the text logits of a face's mapped feature x; every penalty is a candidate.

    A minimises the cross-entropy plus l |A - I|^2 / L, with the Frobenius norm and L expressions, by L-BFGS from the
    identity; the next, smaller l starts at the map of the last. So the most regular candidate is close to `zero-shot`.
    Of more than MOST_FACES faces, a sample is fitted to.
    """

    Settings = HeadSettings
    needs_text = True
    seeded = False

    text: Tensor
    logit_scale: Tensor
    map: Tensor

    def __init__(self, task: Task, settings: HeadSettings) -> None:
        super().__init__(task, settings)
        self.keep_text()
        self.register_buffer("map", torch.eye(task.dimension))

    def logits(self, faces: Faces) -> Tensor:
        """(B, L)."""
        return similarity_logits(faces.features @ self.map.T, self.text, self.logit_scale)

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        """Fits with each penalty, in decreasing order. Nothing is random: `seed` is not used."""
        train = train.sample(MOST_FACES)
        directions = F.normalize(train.features, dim=1)
        residual = torch.zeros_like(self.map)
        for penalty in PENALTIES:
            residual = self._fit(directions, train, penalty, start=residual)
            self.map.copy_(torch.eye(len(residual)).to(residual) + residual)
            yield {"penalty": penalty}

    def _fit(self, directions: Tensor, train: Batch, penalty: float, start: Tensor) -> Tensor:
        """(D, D) A - I, for directions (N, D) of the faces."""
        residual = start.clone().requires_grad_()
        solver = torch.optim.LBFGS([residual], max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            solver.zero_grad()
            logits = similarity_logits(directions + directions @ residual.T, self.text, self.logit_scale)
            cross_entropy = F.cross_entropy(logits, train.target, weight=train.class_weights)
            total = cross_entropy + penalty * residual.square().sum() / len(self.text)
            total.backward()
            return total

        with torch.enable_grad():
            solver.step(loss)
        return residual.detach()


plugin = Rla
