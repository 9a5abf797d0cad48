"""What a card says of runs, methods and text similarity."""

import json
from pathlib import Path

import pytest

from fercache import EncoderRequest, EvaluateRequest, ExtractRequest, Settings, TrainRequest, evaluate, extract, train
from fercache.errors import UsageError
from fercache.loading.model_card import UNKNOWN_LICENCE, UNKNOWN_TRAINING, Card, model_card
from fercache.loading.models import ZERO_SHOT
from tests.audits.planted import draw_folder
from tests.pixel_encoder import PixelEncoder

PIXELS = EncoderRequest(name="pixels")
FACES = {"train": 6, "test": 2}


@pytest.fixture
def scored(settings: Settings, tmp_path: Path, pixel_encoder: type[PixelEncoder]) -> Settings:
    """Two datasets, two seeds trained on the first, and text; each scored on both."""
    for number, name in enumerate(("mine", "yours")):
        root = draw_folder(tmp_path / name, first=100 * number, per_class=FACES)
        extract(settings, ExtractRequest(dataset=f"folder:{name}", root=root, encoder=PIXELS, shifted=False))
    for head in ("sigmoid-mask", "zero-shot"):
        request = TrainRequest(source="folder:mine", heads=(head,), seeds=(0, 1), device="cpu", set=("epochs=1",))
        train(settings, request if head == "sigmoid-mask" else request.but(set=(), seeds=(0,)))
    evaluate(settings, EvaluateRequest(device="cpu"))
    return settings


def test_a_method_one_of_its_runs_and_text(scored: Settings) -> None:
    card = model_card(scored, "sigmoid-mask")
    _is_of_both_seeds(card)
    run = card["runs"][0]["run"]
    assert [each["run"] for each in model_card(scored, run[-8:])["runs"]] == [run]
    _has_seen_no_source(model_card(scored, ZERO_SHOT, PIXELS))
    assert model_card(scored, ZERO_SHOT)["scores"] == []  # of another encoder


def _is_of_both_seeds(card: Card) -> None:
    assert json.loads(json.dumps(card, allow_nan=False))["runs"][1]["seed"] == 1
    assert [run["seed"] for run in card["runs"]] == [0, 1] and all(run["temperature"] > 0 for run in card["runs"])
    assert card["trained_on"] == [{"dataset": "folder:mine", "split": "train", "licence": "your own images"}]
    assert sorted((score["target"], score["own_domain"]) for score in card["scores"]) == [
        *[("folder:mine", True)] * 2,
        *[("folder:yours", False)] * 2,
    ]
    for score in card["scores"]:
        (low, high), faces = score["accuracy_interval"], score["faces"]
        assert low <= score["accuracy"] <= high and faces == 14
    assert card["never_shown"] == ["folder:yours"]
    assert card["encoder"]["licence"] == UNKNOWN_LICENCE and card["encoder"]["trained_on"] == UNKNOWN_TRAINING


def _has_seen_no_source(card: Card) -> None:
    assert card["trained_on"] == [] and card["head"] == ZERO_SHOT and len(card["classes"]) == 7
    assert sorted(score["target"] for score in card["scores"]) == ["folder:mine", "folder:yours"]
    assert card["never_shown"] == ["folder:mine", "folder:yours"]


def test_what_the_bundled_encoder_was_trained_on_is_known(settings: Settings) -> None:
    encoder = model_card(settings, ZERO_SHOT)["encoder"]
    assert "ferplus@train" in encoder["trained_on"] and encoder["licence"].startswith("MIT")


def test_an_unknown_model_is_refused(settings: Settings) -> None:
    with pytest.raises(UsageError, match="nothing"):
        model_card(settings, "nothing")
