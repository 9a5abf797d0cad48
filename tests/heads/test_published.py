"""Every number of the papers' training, and of ours, that a run takes when nothing is set.

CAFE: Adam 2e-4, weight decay 1e-4, times 0.9 each epoch, 60 epochs, batch 32, lambda 1.5, beta 5. KE2NT: SGD 0.002 with
momentum 0.9, weight decay 5e-4, cosine over 50 epochs, the first at 1e-4, batch 64, weights 1 : 1 : 1.
"""

from typing import Any

import pytest

from fercache import losses
from fercache.contracts.feature_space import task
from fercache.heads.masked_text import MaskedText
from fercache.heads.sigmoid_mask import SigmoidMask
from fercache.heads.text_similarity import TextSimilarity
from fercache.training import learning_rate

PIXELS = "resnet18"
ADAM = {"optimizer": "adam", "momentum": 0.9, "schedule": "cosine", "decay": 0.9, "first_learning_rate": None}
ELSE = {"balance": "none", "recipe": "clean", "precision": "fp32"}
TRUNK = {"trunk_weights": "random", "trunk_options": {}, "crops": None}
CAFE = {"variant": "paper", "mask": "sigmoid", "separation_weight": 1.5, "diversity_weight": 5.0}
KE2NT = {"variant": "paired", "similarity_weight": 1.0, "transformation_weight": 1.0, "self_contrast_weight": 1.0}
BOTH = {**KE2NT, "cafe_variant": "paper", "separation_weight": 0.0, "diversity_weight": 0.0}
CAFE_ON_PIXELS = {
    "learning_rate": 2e-4,
    "weight_decay": 1e-4,
    "schedule": "exponential",
    "batch_size": 32,
    "epochs": 60,
}
KE2NT_ON_PIXELS = {"optimizer": "sgd", "learning_rate": 2e-3, "weight_decay": 5e-4, "first_learning_rate": 1e-4}
KE2NT_ON_PIXELS |= {"batch_size": 64, "epochs": 50}
OURS = {"learning_rate": 3e-4, "weight_decay": 1e-4, "batch_size": 128, "epochs": 20}


@pytest.mark.parametrize(
    ("head", "trunk", "expected"),
    [
        (SigmoidMask, "mlp", {**CAFE, **OURS, "learning_rate": 3e-3, "epochs": 30}),
        (SigmoidMask, PIXELS, {**CAFE, **CAFE_ON_PIXELS}),
        (TextSimilarity, "mlp", {**KE2NT, **OURS}),
        (TextSimilarity, PIXELS, {**KE2NT, **KE2NT_ON_PIXELS}),
        (MaskedText, "mlp", {**BOTH, **OURS}),
        (MaskedText, PIXELS, {**BOTH, **KE2NT_ON_PIXELS}),
    ],
)
def test_what_a_head_trains_with_when_nothing_is_set(head: Any, trunk: str, expected: dict[str, Any]) -> None:
    assert head.Settings(trunk=trunk).model_dump() == {**ADAM, **ELSE, **TRUNK, **expected, "trunk": trunk}


def test_what_is_set_goes_before_what_is_published() -> None:
    chosen = SigmoidMask.Settings(trunk=PIXELS, learning_rate=1e-3)
    assert (chosen.learning_rate, chosen.batch_size) == (1e-3, 32)


def test_the_published_rates_by_epoch() -> None:
    cafe, ke2nt = SigmoidMask.Settings(trunk=PIXELS), TextSimilarity.Settings(trunk=PIXELS)
    assert [learning_rate(cafe, epoch) for epoch in (1, 2, 60)] == pytest.approx([2e-4, 1.8e-4, 2e-4 * 0.9**59])
    assert learning_rate(ke2nt, 1) == 1e-4
    assert learning_rate(ke2nt, 26) == pytest.approx(1e-3)  # half-way along the cosine
    assert 0 < learning_rate(ke2nt, 50) < 1e-5


def test_the_transformation_to_neutral_is_512_to_128_to_512_with_a_relu() -> None:
    head: Any = TextSimilarity(task(), TextSimilarity.Settings())
    widths = [(layer.in_features, layer.out_features) for layer in (head.to_neutral[0], head.to_neutral[2])]
    assert widths == [(48, 128), (128, 48)]
    assert type(head.to_neutral[1]).__name__ == "ReLU"


def test_ten_of_seventy_three_channels_are_dropped() -> None:
    assert losses.DROPPED_SHARE == 10 / 73
