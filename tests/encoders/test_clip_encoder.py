"""Precision, devices and presets of CLIP encoders."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fercache.encoders import EncoderRequest
from fercache.encoders.open_clip import OpenClip, clip_encoder
from fercache.encoders.open_clip.clip_encoder import ClipEncoder, agree, centred_cosine, check_precision
from fercache.errors import UsageError
from tests.encoders.open_clip_fixtures import save_folder

FACES = [np.full((32, 32, 3), value, np.uint8) for value in range(0, 240, 6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_folder(tmp_path_factory.mktemp("model") / "tiny")


def load(folder: Path, **options: str) -> OpenClip:
    return OpenClip.load(EncoderRequest(name=f"local-dir:{folder}", **{"device": "cpu", **options}))


def trials(monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float], noise: dict[str, float]) -> None:
    """Replaces the measuring by the given times and deviations from fp32's features."""
    random = np.random.default_rng(0)
    features = random.normal(5.0, 1.0, (32, 16)).astype(np.float32)

    def trial(self: ClipEncoder, batch: NDArray[np.uint8], precision: str) -> tuple[NDArray[np.float32], float]:
        return features + random.normal(0, noise[precision], features.shape).astype(np.float32), seconds[precision]

    monkeypatch.setattr(ClipEncoder, "_trial", trial)
    monkeypatch.setattr(clip_encoder, "reduced_precisions", lambda device: ("bf16", "fp16"))


@pytest.mark.parametrize(
    ("seconds", "noise", "expected"),
    [
        ({"bf16": 0.4, "fp16": 0.7}, {"bf16": 0.0, "fp16": 0.0}, "bf16"),
        ({"bf16": 0.4, "fp16": 0.2}, {"bf16": 0.0, "fp16": 0.0}, "fp16"),
        ({"bf16": 0.4, "fp16": 0.2}, {"bf16": 0.01, "fp16": 0.5}, "bf16"),
        ({"bf16": 0.4, "fp16": 0.2}, {"bf16": 0.5, "fp16": 0.5}, "fp32"),
        ({"bf16": 0.95, "fp16": 1.2}, {"bf16": 0.0, "fp16": 0.0}, "fp32"),
    ],
)
def test_auto_takes_the_fastest_that_agrees(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float], noise: dict[str, float], expected: str
) -> None:
    trials(monkeypatch, {"fp32": 1.0, **seconds}, {"fp32": 0.0, **noise})
    encoder = load(folder)
    measured = encoder.settle(FACES)
    assert encoder.precision == measured["precision"] == encoder.identity()["precision"] == expected
    assert set(measured["trials"]) == {"fp32", "bf16", "fp16"}


def test_features_that_agree_only_in_their_common_part_do_not_agree() -> None:
    random = np.random.default_rng(0)
    common = np.full(16, 50.0, np.float32)
    one, other = (common + random.normal(size=(32, 16)).astype(np.float32) for _ in range(2))
    plain = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert plain.min() > 0.995 and not agree(centred_cosine(one, other))
    assert agree(centred_cosine(one, one))
    assert not agree(centred_cosine(np.full_like(one, np.nan), one))


def test_a_given_precision_is_kept(folder: Path) -> None:
    encoder = load(folder, precision="fp32")
    assert encoder.settle(FACES) == {} and encoder.precision == "fp32"


def test_one_face_leaves_fp32(folder: Path) -> None:
    encoder = load(folder)
    assert encoder.settle(FACES[:1]) == {} and encoder.precision == "fp32"


def test_measuring_for_real(folder: Path) -> None:
    encoder = load(folder)
    measured = encoder.settle(FACES)
    assert measured["precision"] == encoder.precision
    assert set(measured["trials"]) == {"fp32", *clip_encoder.reduced_precisions("cpu")}


def test_no_texts_and_one_face(folder: Path) -> None:
    encoder = load(folder)
    assert encoder.encode_texts([]).shape == (0, 16)
    np.testing.assert_allclose(
        encoder.encode_images(np.stack(FACES[:4]))[:1], encoder.encode_images(FACES[0][None]), atol=1e-5
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"precision": "int8"}, "'int8' is not a precision"),
        ({"precision": "fp16"}, "does not have it natively"),
        ({"device": "gpu"}, "'gpu' is not a device"),
        ({"preprocessing": "center"}, "'center' is not a preprocessing preset"),
        ({"preprocessing": "imagenet-224"}, "needs an encoder of 224 pixels; tiny has 32"),
    ],
)
def test_wrong_options(folder: Path, options: dict[str, str], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        load(folder, **options)


def test_bf16_is_only_for_processors_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_encoder, "reduced_precisions", lambda device: ())
    with pytest.raises(UsageError, match="natively"):
        check_precision("bf16", "cpu")
    assert check_precision("auto", "cpu") == "fp32"
