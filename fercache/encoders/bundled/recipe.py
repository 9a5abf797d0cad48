"""What determines the weights of the bundled encoder."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything that determines the weights, except the order in which threads add up.

    `sizes` are pairs of a share of the steps and the side of the images until then. Rare expressions are sampled by the
    power `balance` of their inverse frequency, and the logits are adjusted so that the network learns
    p(expression | face) / p(expression) ** `adjustment` (Menon et al., 2021).

    A network this small does not fit faces that are changed so much: in the last `finish_steps`, at `finish_rate` of
    the rates, `plain_share` of the real faces are only moved, and none are mixed.
    """

    seed: int = 20_021
    drawn_faces: int = 36_000
    steps: int = 6_000
    finish_steps: int = 1_400
    processes: int = 2  # share each batch; with one thread each they wait for each other only once a step
    real_batch: int = 288
    drawn_batch: int = 80
    image_rate: float = 2e-3
    text_rate: float = 1e-3
    weight_decay: float = 0.05
    warm_up: int = 200
    finish_rate: float = 0.25
    finish_warm_up: int = 50
    sizes: tuple[tuple[float, int], ...] = ((0.4, 40), (0.75, 48), (1.0, 64))
    averaging: float = 0.998
    balance: float = 0.3
    adjustment: float = 0.4
    attributes_per_step: int = 5
    smoothing: float = 0.05
    mixed_share: float = 0.25
    degraded_share: float = 0.35
    plain_share: float = 0.6
    photograph_share: float = 0.5
    drawn_weight: float = 0.5
    attribute_weight: float = 1.0
    caption_weight: float = 0.3

    def size(self, step: int) -> int:
        """The side of the images of a step, in pixels."""
        return next((size for share, size in self.sizes if step < share * self.steps), self.sizes[-1][1])

    def finishing(self, step: int) -> bool:
        """Whether a step is one of the last, with gentler changes."""
        return step >= self.steps

    def rate(self, step: int) -> float:
        """The share of the rates at a step: a linear warm-up, then a cosine, in both parts."""
        if self.finishing(step):
            step, steps, warm_up, peak = step - self.steps, self.finish_steps, self.finish_warm_up, self.finish_rate
        else:
            steps, warm_up, peak = self.steps, self.warm_up, 1.0
        return peak * min(1.0, (step + 1) / warm_up) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
