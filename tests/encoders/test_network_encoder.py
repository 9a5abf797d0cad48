"""What all encoders that are networks share."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from fercache.encoders import slug, square_side
from fercache.encoders.open_clip import OpenClip
from fercache.errors import FercacheError, UsageError
from fercache.options.extract import EncoderRequest
from fercache.runtime import precisions
from tests.encoders.open_clip_fixtures import save_folder

FACES = [np.full((32, 32, 3), value, np.uint8) for value in range(0, 240, 6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_folder(tmp_path_factory.mktemp("model") / "tiny")


def load(folder: Path, precision: str = "auto") -> OpenClip:
    return OpenClip.load(EncoderRequest(name=f"local-dir:{folder}", device="cpu", precision=precision))


def test_what_is_stored_of_a_request_asks_for_the_same_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    request = EncoderRequest(
        name="ViT-B-32", weights=Path("own.pt"), preprocessing="imagenet-224", device="cuda", precision="bf16"
    )
    stored = json.loads(json.dumps(request.stored()))
    same = request.but(weights=tmp_path / "own.pt")
    assert EncoderRequest.of(stored, device="cuda", precision="bf16") == same
    assert EncoderRequest.of(stored) == same.but(device="auto", precision="auto")


def test_auto_is_the_precision_that_was_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sequence[int]] = []

    def fastest(device: str, encode: precisions.Encode) -> tuple[str, dict[str, object]]:
        seen.append(encode("fp32").shape)
        return "bf16", {"bf16": {}}

    monkeypatch.setattr(precisions, "fastest", fastest)
    encoder = load(folder)
    assert encoder.settle(FACES) == {"precision": "bf16", "trials": {"bf16": {}}}
    assert encoder.precision == encoder.identity()["precision"] == "bf16"
    assert seen == [(len(FACES), encoder.dimension)]


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


def test_names_are_fit_for_folders_and_images_are_square() -> None:
    assert slug("ViT-B-32", "laion2b_s34b") == "vit-b-32--laion2b-s34b"
    assert slug("timm/resnet50.a1_in1k") == "timm-resnet50-a1-in1k"
    with pytest.raises(UsageError, match="224 x 196"):
        square_side(224, 196)


def test_short_of_memory_it_takes_half_as_many(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder, whole = load(folder), np.stack(FACES[:16])
    expected, encode, sizes = encoder.encode_images(whole), encoder._encode, []

    def with_little_memory(faces: np.ndarray, precision: str) -> np.ndarray:
        sizes.append(len(faces))
        if len(faces) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(faces, precision)

    monkeypatch.setattr(encoder, "_encode", with_little_memory)
    np.testing.assert_allclose(encoder.encode_images(whole), expected, atol=1e-5)
    assert sizes == [16, 8, 4, 4, 4, 4]
    encoder.encode_images(whole)
    assert sizes[6:] == [4, 4, 4, 4], "it forgot what it had learned"
    assert "no memory for 16 faces; encoding 8" in capsys.readouterr().err


def test_without_memory_for_one_face_it_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load(folder)

    def without(faces: np.ndarray, precision: str) -> np.ndarray:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(encoder, "_encode", without)
    with pytest.raises(FercacheError, match="not enough memory for one face"):
        encoder.encode_images(np.stack(FACES[:4]))


def test_other_errors_are_not_taken_for_a_lack_of_memory(folder: Path) -> None:
    with pytest.raises(RuntimeError):
        load(folder).encode_images(np.zeros((2, 31, 32, 3), np.uint8))


def test_threads_that_come_at_once_share_one_layout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, built = load(folder), []
    real = OpenClip._tower

    def slowly(self: OpenClip, precision: str) -> torch.nn.Module:
        built.append(precision)
        time.sleep(0.05)
        return real(self, precision)

    monkeypatch.setattr(OpenClip, "_tower", slowly)
    with ThreadPoolExecutor(4) as threads:
        features = list(threads.map(encoder.encode_images, [np.stack(FACES[:2])] * 4))
    assert built == ["fp32"]
    assert all(np.array_equal(each, features[0]) for each in features)
