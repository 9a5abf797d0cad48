"""The mean log-probability of several heads, fitted to the same faces."""

from collections.abc import Iterator, Sequence

import torch
from pydantic import field_validator
from torch import Tensor, nn

from fercache.heads import Batch, FittedHead, HeadSettings, Task
from fercache.heads.class_mean import ClassMean
from fercache.heads.gda import Gda
from fercache.heads.knn import KNearestNeighbours
from fercache.heads.linear_probe import LinearProbe
from fercache.heads.rla import Rla
from fercache.heads.shift_gda import ShiftGda
from fercache.heads.zero_shot import ZeroShot
from fercache.trunks import Faces

MEMBERS: dict[str, type[FittedHead]] = {
    "class-mean": ClassMean,
    "gda": Gda,
    "knn": KNearestNeighbours,
    "linear-probe": LinearProbe,
    "rla": Rla,
    "shift-gda": ShiftGda,
    "zero-shot": ZeroShot,
}
"""Heads that are fitted directly and have nothing random."""


class EnsembleSettings(HeadSettings):
    """`heads`: two or more members, with their default settings."""

    heads: str = "shift-gda,zero-shot"

    @field_validator("heads")
    @classmethod
    def _check(cls, given: str) -> str:
        names = [name.strip() for name in given.split(",")]
        if len(set(names)) < max(2, len(names)) or not set(names) <= MEMBERS.keys():
            raise ValueError(f"name two or more different heads of {', '.join(MEMBERS)}, separated by commas")
        return ",".join(names)


class Ensemble(FittedHead):
    """sum_j log p_j(k) / J over the members j: the logarithm of their geometric mean, up to a constant of the face.

    Every combination of the members' candidates is a candidate; those of the last member change first. All but the
    first member are fitted again for each candidate of those before them, so a slow one comes first.
    """

    Settings = EnsembleSettings
    needs_text = True
    seeded = False
    learns_shift = True

    def __init__(self, task: Task, settings: EnsembleSettings) -> None:
        super().__init__(task, settings)
        task.text_and_scale()
        names = settings.heads.split(",")
        self.members = nn.ModuleDict({name: MEMBERS[name](task, MEMBERS[name].Settings()) for name in names})

    def logits(self, faces: Faces) -> Tensor:
        """(B, L)."""
        return torch.stack([head.logits(faces).log_softmax(1) for _, head in self._named()]).mean(dim=0)

    def learn_shift(self, clean: Tensor, corrupted: Tensor) -> None:
        """Passes the faces to the members."""
        for _, head in self._named():
            head.learn_shift(clean, corrupted)

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        """Every combination."""
        return self._combinations(self._named(), train, seed)

    def _named(self) -> list[tuple[str, FittedHead]]:
        return [(name, head) for name, head in self.members.items() if isinstance(head, FittedHead)]

    def _combinations(
        self, members: Sequence[tuple[str, FittedHead]], train: Batch, seed: int
    ) -> Iterator[dict[str, float | str]]:
        if not members:
            yield {}
            return
        (name, head), *others = members
        for own in head.candidates(train, seed):
            for rest in self._combinations(others, train, seed):
                yield {f"{name}.{setting}": value for setting, value in own.items()} | rest


plugin = Ensemble
