"""Encoders without text: the same numbers as timm's own, and a clear word wherever something does not fit."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from fercache import registry
from fercache.encoders import TextEncoder
from fercache.encoders.timm import Timm
from fercache.errors import UsageError
from fercache.identity import file_hash
from fercache.options.extract import EncoderRequest
from fercache.weights import timm_backbone as backbones
from fercache.weights.state_dicts import state_hash
from tests.encoders.test_resizing import LEVELS
from tests.encoders.timm_fixtures import SMALL, SMALL_VIT, random_state, save_checkpoint


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path / "mine.safetensors")


def load(architecture: str, weights: Path | None, preprocessing: str = "clip", precision: str = "fp32") -> Timm:
    return Timm.load(
        EncoderRequest(
            name=f"timm/{architecture}", weights=weights, preprocessing=preprocessing, device="cpu", precision=precision
        )
    )


def images(count: int = 3) -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (40 + 9 * i, 60 - 5 * i, 3), dtype=np.uint8) for i in range(count)]


@pytest.mark.parametrize("architecture", [SMALL, SMALL_VIT])
def test_features_are_timms_own(architecture: str, tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "mine.safetensors", architecture)
    encoder = load(architecture, path)
    network = timm.create_model(architecture, checkpoint_path=str(path)).eval()
    network.reset_classifier(0)
    config = timm.data.resolve_model_data_config(network)
    transform = timm.data.create_transform(**config)
    faces = np.stack([encoder.preprocess(image) for image in images()])
    to_tensor, normalise = transform.transforms[-2:]
    with torch.inference_mode():
        expected = network(torch.stack([normalise(to_tensor(Image.fromarray(face))) for face in faces])).numpy()
    np.testing.assert_allclose(encoder.encode_images(faces), expected, atol=1e-5)
    assert encoder.image_size == config["input_size"][1] and encoder.dimension == expected.shape[1]


def test_it_knows_no_text(file: Path) -> None:
    assert not isinstance(load(SMALL, file), TextEncoder)
    assert registry.encoder_family(f"timm/{SMALL}") is Timm
    assert not Timm.knows(SMALL) and not Timm.knows("ViT-B-32/openai")


def test_the_identity_names_what_changes_numbers(file: Path) -> None:
    encoder = load(SMALL, file)
    identity = encoder.identity()
    assert json.loads(json.dumps(identity)) == identity
    assert identity["family"] == "timm" and identity["architecture"] == SMALL
    assert identity["weights_sha256"] == file_hash(file)
    assert identity["precision"] == "fp32"
    assert identity["preprocessing"] == {
        "preset": "clip",
        "size": 160,
        "crop_pct": 0.95,
        "crop_mode": "center",
        "interpolation": "bilinear",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "kernels": "pytorch",
    }
    assert encoder.name == "timm--test-resnet--mine"
    assert load(SMALL, file, "imagenet-224").identity() != identity


def test_a_tag_beside_a_file_changes_nothing_but_preprocessing(file: Path) -> None:
    assert load(f"{SMALL}.r160_in1k", file).identity() == load(SMALL, file).identity()


@pytest.mark.parametrize("architecture", [SMALL, SMALL_VIT])
def test_imagenet_224_is_what_it_is_for_clip(architecture: str, tmp_path: Path) -> None:
    encoder = load(architecture, save_checkpoint(tmp_path / "mine.pt", architecture), "imagenet-224")
    for image in images():
        squashed = Image.fromarray(image).resize((224, 224), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(encoder.preprocess(image).astype(int), np.asarray(squashed, int), atol=LEVELS)
    features = encoder.encode_images(np.stack([encoder.preprocess(image) for image in images()]))
    assert features.shape == (3, encoder.dimension)
    assert encoder.identity()["preprocessing"]["mean"] == [0.485, 0.456, 0.406]


def test_images_of_another_side_are_cut_the_same(file: Path) -> None:
    encoder = load(SMALL, file)
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 40:] = 255
    crop = encoder.preprocess(image, 32)
    assert crop.shape == (32, 32, 3)
    assert crop[:, :14].max() == 0 and crop[:, 18:].min() == 255
    cut = {"interpolation": "bilinear", "crop_pct": 0.95, "crop_mode": "center"}
    assert encoder.geometry() == {**cut, "kernels": "pytorch"}


def test_a_file_gives_the_same_features_in_any_form(tmp_path: Path) -> None:
    state = random_state()
    wrapped = tmp_path / "wrapped.pt"
    torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}, wrapped)
    trained_on_seven = tmp_path / "seven.safetensors"
    save_file({**state, "fc.weight": torch.zeros(7, 4), "fc.bias": torch.zeros(7)}, trained_on_seven)
    faces = np.stack([load(SMALL, wrapped).preprocess(image) for image in images()])
    expected = load(SMALL, save_checkpoint(tmp_path / "plain.pt")).encode_images(faces)
    for path in (wrapped, trained_on_seven):
        np.testing.assert_array_equal(load(SMALL, path).encode_images(faces), expected)


def test_a_file_that_does_not_fit_lists_its_keys(tmp_path: Path) -> None:
    state = random_state()
    path = tmp_path / "odd.safetensors"
    save_file({key: value for key, value in state.items() if key != "bn1.weight"}, path)
    with pytest.raises(UsageError, match=r"does not fit test_resnet: missing bn1\.weight"):
        load(SMALL, path)
    save_file({**state, "bn1.weight": torch.zeros(1, 2)}, path)
    with pytest.raises(UsageError, match=r"another shape: bn1\.weight has 1 x 2 instead of"):
        load(SMALL, path)
    with pytest.raises(UsageError, match=r"does not fit test_vit: missing .*The file has "):
        load(SMALL_VIT, save_checkpoint(tmp_path / "other.safetensors"))


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    code, text = tmp_path / "code.pt", tmp_path / "text.safetensors"
    torch.save({"model": torch.nn.Linear(2, 2)}, code)  # a pickled object: opening it would run code
    text.write_text("no weights in here")
    for path in (code, text):
        with pytest.raises(UsageError, match="cannot be read as weights"):
            load(SMALL, path)
    with pytest.raises(UsageError, match=r"--weights .*absent\.pt: no such file"):
        load(SMALL, tmp_path / "absent.pt")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("test_resnt", "no architecture 'test_resnt'. Did you mean 'test_resnet'"),
        ("test_resnet.r160", "no weights 'r160' of test_resnet. Did you mean 'r160_in1k'"),
        ("", "no architecture ''"),
    ],
)
def test_wrong_names(name: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        load(name, None)


def test_without_a_network_a_file_is_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "reachable", lambda url: False)
    monkeypatch.setattr(backbones, "fetched_before", lambda repository, filenames: None)
    start = time.monotonic()
    with pytest.raises(
        UsageError, match=r"Fetch https://\S+/timm/test_resnet\.r160_in1k/\S+ elsewhere.*--weights FILE"
    ):
        load(SMALL, None)
    assert time.monotonic() - start < 5


def test_fetched_weights_are_known_by_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def fetching(name: str, pretrained: bool = False, **options: object) -> torch.nn.Module:
        network: torch.nn.Module = create(name, **options)
        if pretrained:
            network.load_state_dict(random_state(), strict=False)
        return network

    monkeypatch.setattr(timm, "create_model", fetching)
    monkeypatch.setattr(backbones, "reachable", lambda url: True)
    encoder = load(SMALL, None)
    own = {key: value for key, value in random_state().items() if not key.startswith("fc.")}
    assert encoder.identity()["weights_sha256"] == state_hash(own)
    assert encoder.name == "timm--test-resnet--r160-in1k"
