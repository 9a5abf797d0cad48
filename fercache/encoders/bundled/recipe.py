"""What determines the weights of the bundled encoders."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """A part of a training, with its own warm-up and cosine.

    `peak` is a share of the recipe's rates. `sizes` are pairs of a share of the steps and the side of the images until
    then. The logits are adjusted so that the network learns p(expression | face) / p(expression) ** `adjustment` (Menon
    et al., 2021). A network this small does not fit faces that are changed much: in a `gentle` phase, `plain_share` of
    the real faces are only moved, and none are mixed. A phase with `restart` begins from the averaged weights, with a
    new optimizer.
    """

    steps: int
    peak: float
    warm_up: int
    sizes: tuple[tuple[float, int], ...]
    adjustment: float = 0.0
    gentle: bool = True
    restart: bool = False

    def size(self, step: int) -> int:
        """The side of the images of a step of this phase, in pixels."""
        return next((size for share, size in self.sizes if step < share * self.steps), self.sizes[-1][1])

    def rate(self, step: int) -> float:
        """The share of the recipe's rates at a step of this phase."""
        return self.peak * min(1.0, (step + 1) / self.warm_up) * (0.5 + 0.5 * math.cos(math.pi * step / self.steps))


FROM_SCRATCH = Phase(6_000, 1.0, 200, sizes=((0.4, 40), (0.75, 48), (1.0, 64)), adjustment=0.4, gentle=False)
FINISH = Phase(1_400, 0.25, 50, sizes=((1.0, 64),), adjustment=0.4)
SECOND_ROUND = Phase(5_200, 0.4, 100, sizes=((1.0, 48),), adjustment=0.2, restart=True)


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything that determines the weights, except the order in which threads add up.

    Rare expressions are sampled by the power `balance` of their inverse frequency. Captions name a share of the
    attributes, and the expression in a share of the captions. Without the `labels` of real faces, views of the same one
    are brought together instead, and nothing but captions says what synthetic faces show.
    """

    labels: bool = True
    seed: int = 20_021
    drawn_faces: int = 36_000
    phases: tuple[Phase, ...] = (FROM_SCRATCH, FINISH, SECOND_ROUND)
    processes: int = 2  # share each batch; with one thread each they wait for each other only once a step
    real_batch: int = 288
    drawn_batch: int = 80
    image_rate: float = 2e-3
    text_rate: float = 1e-3
    weight_decay: float = 0.05
    averaging: float = 0.998
    balance: float = 0.3
    attributes_per_step: int = 5
    smoothing: float = 0.05
    mixed_share: float = 0.25
    degraded_share: float = 0.35
    plain_share: float = 0.6
    photograph_share: float = 0.5
    drawn_weight: float = 0.5
    attribute_weight: float = 1.0
    caption_weight: float = 0.3
    attribute_share: float = 0.2
    expression_share: float = 0.6
    view_temperature: float = 0.15

    @property
    def steps(self) -> int:
        """All steps of the training."""
        return sum(phase.steps for phase in self.phases)

    def phase(self, step: int) -> tuple[Phase, int]:
        """The phase of a step of the training, and the step within the phase."""
        for phase in self.phases:
            if step < phase.steps:
                return phase, step
            step -= phase.steps
        raise IndexError(f"the training has {self.steps} steps")

    def size(self, step: int) -> int:
        """The side of the images of a step, in pixels."""
        phase, within = self.phase(step)
        return phase.size(within)

    def rate(self, step: int) -> float:
        """The share of the rates at a step."""
        phase, within = self.phase(step)
        return phase.rate(within)

    def restarts(self, step: int) -> bool:
        """Whether the training begins again from the averaged weights before this step."""
        phase, within = self.phase(step)
        return phase.restart and within == 0


GENERAL = TrainingRecipe(
    labels=False,
    phases=(Phase(1_300, 1.0, 80, sizes=((0.7, 40), (1.0, 48))),),
    drawn_batch=96,
    caption_weight=1.0,
    attribute_share=0.25,
    expression_share=0.3,
)
RECIPES: Mapping[str, TrainingRecipe] = {"bundled": TrainingRecipe(), "bundled-general": GENERAL}
"""The recipe of each encoder that ships."""
