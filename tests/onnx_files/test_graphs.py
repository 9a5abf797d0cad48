"""Every head, and encoders of several families, as ONNX: the same probabilities as PyTorch's."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fercache import EncoderRequest, registry
from fercache.contracts.feature_space import DIMENSION, SEVEN, faces, task
from fercache.encoders import Encoder, NetworkEncoder, load_encoder
from fercache.errors import FercacheError
from fercache.heads import Head, Task, knn
from fercache.heads.sigmoid_mask import SigmoidMask
from fercache.onnx_files.graphs import Shares, from_features, from_pixels, takes_any_side, why_not_from_pixels
from fercache.predicting.classifiers import Classifier
from fercache.training import SourceFaces, build_head, train_head
from fercache.trunks import Faces
from tests.encoders.open_clip_fixtures import save_folder
from tests.encoders.timm_fixtures import SMALL, save_checkpoint

ROWS = 300
"""More than heads compare with their memory at once."""


def run_file(file: bytes, **given: NDArray[Any]) -> NDArray[np.float32]:
    probabilities: NDArray[np.float32] = onnxruntime.InferenceSession(file).run(None, given)[0]
    return probabilities


def trained(name: str) -> Head:
    plugin = registry.load("heads", name)
    settings = plugin.Settings()
    settings = settings.model_copy(update={"epochs": 1} if hasattr(settings, "epochs") else {})
    head = build_head(plugin, task(with_text=plugin.needs_text), settings, seed=1)
    train_head(head, SourceFaces(faces(70, 1), faces(35, 2)), settings, seed=1)
    return head.eval().requires_grad_(False)


def classifier_of(head: Head, encoder: Encoder, crop_side: int | None = None) -> Classifier:
    def logits(faces: Faces) -> Tensor:
        return head.logits(faces) / 1.3

    return Classifier("tested", encoder, SEVEN, (logits,), crop_side=crop_side)


def on_features(head: Head) -> Classifier:
    return classifier_of(head, cast(Encoder, SimpleNamespace(dimension=DIMENSION)))


@pytest.mark.parametrize("name", registry.names("heads"))
def test_every_head_can_be_written(name: str) -> None:
    head, given = trained(name), faces(ROWS, seed=3).features
    classifier = on_features(head)
    file, expected = from_features(classifier), Shares(classifier)(given).numpy()
    assert expected.std() > 1e-4
    for count in (1, ROWS):
        found = run_file(file, features=given[:count].numpy())
        assert found.shape == (count, len(SEVEN))
        assert np.abs(found - expected[:count]).max() < 1e-5


def test_the_seeds_of_a_method_are_averaged() -> None:
    one, two = trained("sigmoid-mask"), trained("class-mean")
    classifier = Classifier("both", on_features(one).encoder, SEVEN, (one.logits, two.logits))
    given = faces(9, seed=3).features
    shares = [head.logits(Faces(given)).softmax(dim=1) for head in (one, two)]
    found = run_file(from_features(classifier), features=given.numpy())
    assert np.abs(found - ((shares[0] + shares[1]) / 2).numpy()).max() < 1e-5


def test_what_onnx_lacks_is_named(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A kNN of a large source looks for faces cell by cell."""
    monkeypatch.setattr(knn, "MOST_FACES", 50)
    with pytest.raises(FercacheError, match=r"cannot be written as ONNX: .*operator Sort.* Export a model of another"):
        from_features(on_features(trained("knn")))
    assert "graph" not in capfd.readouterr().out


def bundled(folder: Path) -> EncoderRequest:
    return EncoderRequest(device="cpu")


def small_clip(folder: Path) -> EncoderRequest:
    """A vision transformer, whose attention PyTorch computes in one operation that ONNX lacks."""
    return EncoderRequest(name=f"local-dir:{save_folder(folder)}", device="cpu")


def small_timm(folder: Path) -> EncoderRequest:
    """Resizes to more than its side, and crops the centre."""
    return EncoderRequest(name=f"timm/{SMALL}", weights=save_checkpoint(folder / "small.safetensors"), device="cpu")


@pytest.mark.parametrize("request_of", [bundled, small_clip, small_timm])
def test_pixels_give_the_same_through_every_family(
    request_of: Callable[[Path], EncoderRequest], tmp_path: Path
) -> None:
    encoder = load_encoder(request_of(tmp_path))
    head = mask_head(encoder, crop_side=None)
    classifier = classifier_of(head, encoder)
    assert takes_any_side(classifier)
    _same_from_pixels(classifier, sides=(40, encoder.image_size, 200))


def test_a_head_that_sees_pixels_gets_its_crops_from_the_same_input() -> None:
    encoder = load_encoder(EncoderRequest(device="cpu"))
    head = mask_head(encoder, crop_side=48, trunk="resnet10t")
    _same_from_pixels(classifier_of(head, encoder, crop_side=48), sides=(48, 101))


def mask_head(encoder: Encoder, crop_side: int | None, **settings: Any) -> Head:
    torch.manual_seed(0)
    built = build_head(
        SigmoidMask, Task(SEVEN, encoder.dimension, crop_side=crop_side), SigmoidMask.Settings(**settings), seed=0
    )
    return built.eval().requires_grad_(False)


def _same_from_pixels(classifier: Classifier, sides: tuple[int, ...]) -> None:
    file = from_pixels(classifier)
    for count, side in enumerate(sides, start=1):
        images = np.random.default_rng(side).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        expected = classifier.probabilities([classifier.prepare(image) for image in images])
        found = run_file(file, faces=images)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 1e-5


def test_unknown_resizing_leaves_the_encoders_own_side(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder(EncoderRequest(device="cpu"))
    monkeypatch.setattr(NetworkEncoder, "resizes_by_pytorch", lambda self, side: False)
    classifier = classifier_of(mask_head(encoder, crop_side=None), encoder)
    assert not takes_any_side(classifier)
    _same_from_pixels(classifier, sides=(encoder.image_size,))
    with pytest.raises(Exception, match="Got: 40 Expected: 48"):
        run_file(from_pixels(classifier), faces=np.zeros((1, 40, 40, 3), np.uint8))
    assert "another side" in why_not_from_pixels(classifier_of(mask_head(encoder, None), encoder, crop_side=40))
