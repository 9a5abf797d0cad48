"""Every registered encoder through the same checks, and bad dummies that the checks catch."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fercache import registry
from fercache.contracts import check_encoder
from fercache.contracts.encoders import ABOUT_FEATURES, ABOUT_ITSELF, Check
from fercache.encoders import Encoder
from fercache.options.extract import EncoderRequest
from tests.encoders.open_clip_fixtures import register_architectures, save_folder
from tests.encoders.timm_fixtures import SMALL, save_checkpoint


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, EncoderRequest]:
    """How to ask for a small one of each family. A new family needs a line here."""
    folder = tmp_path_factory.mktemp("encoders")
    register_architectures(folder / "configs")
    return {
        "bundled": EncoderRequest(name="bundled", device="cpu"),
        "open-clip": EncoderRequest(name=f"local-dir:{save_folder(folder / 'tiny')}", device="cpu"),
        "timm": EncoderRequest(
            name=f"timm/{SMALL}", weights=save_checkpoint(folder / "mine.safetensors"), device="cpu"
        ),
    }


@pytest.mark.parametrize("family", registry.names("encoders"))
@pytest.mark.parametrize("check", ABOUT_ITSELF + ABOUT_FEATURES, ids=lambda check: check.__name__)
def test_keeps_its_promises(family: str, check: Check, requests: dict[str, EncoderRequest]) -> None:
    request = requests[family]
    assert registry.encoder_family(request.name) is registry.load("encoders", family)
    assert list(check(registry.load("encoders", family).load(request))) == []


class Bad:
    """An encoder with one promise broken, everything else passed on."""

    def __init__(self, good: Encoder) -> None:
        self.good = good

    def __getattr__(self, name: str) -> object:
        return getattr(self.good, name)


class Normalises(Bad):
    def encode_images(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        features = self.good.encode_images(faces)
        return features / np.linalg.norm(features, axis=1, keepdims=True)


class LooksAtTheBatch(Bad):
    def encode_images(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.good.encode_images(faces) * np.arange(1, len(faces) + 1, dtype=np.float32)[:, None]


class ForgetsThePrecision(Bad):
    def identity(self) -> dict[str, object]:
        return {name: value for name, value in self.good.identity().items() if name != "precision"}


class SeesGrey(Bad):
    def encode_images(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        grey = faces.mean(axis=3, keepdims=True).astype(np.uint8)
        return self.good.encode_images(np.repeat(grey, 3, axis=3))


class WrongSize(Bad):
    def preprocess(self, pixels: NDArray[np.uint8], side: int | None = None) -> NDArray[np.uint8]:
        return self.good.preprocess(pixels, side)[:-1]


class OneSide(Bad):
    def preprocess(self, pixels: NDArray[np.uint8], side: int | None = None) -> NDArray[np.uint8]:
        return self.good.preprocess(pixels)


class ForgetsTheGeometry(Bad):
    def geometry(self) -> dict[str, object]:
        return {"resize_mode": "another"}


@pytest.mark.parametrize(
    ("bad", "promise"),
    [
        (Normalises, "normalises its features"),
        (LooksAtTheBatch, "returns different features when the order of faces changes"),
        (ForgetsThePrecision, "has an identity without its precision"),
        (SeesGrey, "returns the same features for red and blue"),
        (WrongSize, "preprocesses to"),
        (OneSide, "does not preprocess to the requested side"),
        (ForgetsTheGeometry, "has a geometry that is not part of its identity's preprocessing"),
    ],
)
def test_a_broken_promise_is_caught(bad: type[Bad], promise: str, requests: dict[str, EncoderRequest]) -> None:
    encoder = bad(registry.encoder_family(requests["open-clip"].name).load(requests["open-clip"]))
    assert any(text.startswith(promise) for text in check_encoder(encoder))  # type: ignore[arg-type]
