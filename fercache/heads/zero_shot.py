"""The nearest prompt, without any training."""

from collections.abc import Iterator

from torch import Tensor

from fercache.heads import Batch, FittedHead, HeadSettings, Task
from fercache.losses import similarity_logits
from fercache.trunks import Faces


class ZeroShot(FittedHead):
    """Scaled cosine of a face with the mean text embedding of each expression's prompts."""

    Settings = HeadSettings
    needs_text = True
    seeded = False

    text: Tensor
    logit_scale: Tensor

    def __init__(self, task: Task, settings: HeadSettings) -> None:
        super().__init__(task, settings)
        self.keep_text()

    def logits(self, faces: Faces) -> Tensor:
        """(B, L)."""
        return similarity_logits(faces.features, self.text, self.logit_scale)

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        """Nothing to fit, and nothing to choose."""
        yield {}


plugin = ZeroShot
