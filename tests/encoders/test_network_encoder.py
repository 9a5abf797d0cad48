"""What all encoders that are networks share."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fercache import precisions
from fercache.encoders import EncoderRequest, slug, square_side
from fercache.encoders.open_clip import OpenClip
from fercache.errors import UsageError
from tests.encoders.open_clip_fixtures import save_folder

FACES = [np.full((32, 32, 3), value, np.uint8) for value in range(0, 240, 6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_folder(tmp_path_factory.mktemp("model") / "tiny")


def load(folder: Path, precision: str = "auto") -> OpenClip:
    return OpenClip.load(EncoderRequest(name=f"local-dir:{folder}", device="cpu", precision=precision))


def test_auto_is_the_precision_that_was_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sequence[int]] = []

    def fastest(device: str, encode: precisions.Encode) -> tuple[str, dict[str, object]]:
        seen.append(encode("fp32").shape)
        return "bf16", {"bf16": {}}

    monkeypatch.setattr(precisions, "fastest", fastest)
    encoder = load(folder)
    assert encoder.settle(FACES) == {"precision": "bf16", "trials": {"bf16": {}}}
    assert encoder.precision == encoder.identity()["precision"] == "bf16"
    assert seen == [(32, encoder.dimension)]


def test_measuring_for_real(folder: Path) -> None:
    encoder = load(folder)
    measured = encoder.settle(FACES)
    assert measured["precision"] == encoder.precision
    assert set(measured["trials"]) == {"fp32", *precisions.reduced_precisions("cpu")}


def test_a_given_precision_is_kept(folder: Path) -> None:
    encoder = load(folder, precision="fp32")
    assert encoder.settle(FACES) == {} and encoder.precision == "fp32"


def test_one_face_leaves_fp32(folder: Path) -> None:
    encoder = load(folder)
    assert encoder.settle(FACES[:1]) == {} and encoder.precision == "fp32"


def test_names_are_fit_for_folders_and_pictures_are_square() -> None:
    assert slug("ViT-B-32", "laion2b_s34b") == "vit-b-32--laion2b-s34b"
    assert slug("timm/resnet50.a1_in1k") == "timm-resnet50-a1-in1k"
    with pytest.raises(UsageError, match="224 x 196"):
        square_side(224, 196)
