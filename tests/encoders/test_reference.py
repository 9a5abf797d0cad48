"""Known faces are encoded before anything else is, so that a device that computes wrongly is found out."""

from pathlib import Path

import numpy as np
import pytest

from fercache import EncoderRequest, ExtractRequest, Settings, extract
from fercache.encoders.bundled import Bundled, reference
from fercache.errors import FercacheError


@pytest.fixture
def other_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose fastest device, `cuda`, adds noise to what it computes."""
    of_processor = reference.agreement("cpu")

    def agreement(device: str) -> np.ndarray:
        return of_processor if device == "cpu" else of_processor - 0.3

    monkeypatch.setattr(reference, "agreement", agreement)
    monkeypatch.setattr(reference, "resolve_device", lambda name: "cuda" if name == "auto" else name)


def test_this_processor_is_right() -> None:
    assert reference.agreement("cpu").min() > 0.9999
    assert reference.trusted(EncoderRequest(device="cpu")) == (EncoderRequest(device="cpu"), "")


def test_features_that_are_a_little_wrong_everywhere_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    encode = Bundled.encode_images
    noise = np.random.default_rng(0).normal(scale=0.2, size=(8, 512)).astype(np.float32)

    def noisy(self: Bundled, faces: np.ndarray) -> np.ndarray:
        features = encode(self, faces)
        return features + noise * features.std()

    monkeypatch.setattr(Bundled, "encode_images", noisy)
    reference.agreement.cache_clear()
    with pytest.raises(FercacheError, match="cpu computes wrong features"):
        reference.trusted(EncoderRequest(device="cpu"))
    reference.agreement.cache_clear()


@pytest.mark.usefixtures("other_device")
def test_a_device_that_deviates_gives_way_unless_it_was_named() -> None:
    chosen, warning = reference.trusted(EncoderRequest())
    assert (
        chosen.device == "cpu" and "least cosine of known faces is 0.7" in warning and "using the processor" in warning
    )
    with pytest.raises(FercacheError, match=r"cuda computes wrong .* check its drivers"):
        reference.trusted(EncoderRequest(device="cuda"))


@pytest.mark.usefixtures("other_device")
def test_extract_says_that_it_takes_another_device(
    tmp_path: Path, studio_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extract(Settings(cache=tmp_path / "cache"), ExtractRequest(dataset="folder:faces", root=studio_folder))
    assert "warning: cuda computes wrong features" in capsys.readouterr().err
