"""timm's networks, built by name and filled from files."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import Tensor

from fercache.errors import UsageError
from fercache.weights import timm_backbone as backbones
from fercache.weights.timm_backbone import PRETRAINED, Backbone, check_name
from tests.encoders.timm_fixtures import SMALL, SMALL_VIT, random_state, save_checkpoint


def images(side: int = 32, count: int = 2) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8))


@pytest.mark.parametrize(("name", "side"), [(SMALL, 32), (SMALL_VIT, 48), ("resnet10t", 32)])
def test_a_backbone_turns_images_into_pooled_features(name: str, side: int) -> None:
    backbone = Backbone(name, side, {}).eval()
    with torch.inference_mode():
        features = backbone(images(side))
    assert features.shape == (2, backbone.width)
    assert torch.isfinite(features).all() and not torch.allclose(features[0], features[1])


def test_images_are_normalised_as_the_weights_expect_it() -> None:
    backbone = Backbone("resnet10t", None, {}).eval()
    given: list[Tensor] = []
    backbone.network.register_forward_pre_hook(lambda module, arguments: given.append(arguments[0]))
    backbone(images())
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = ((images().numpy() / 255 - mean) / deviation).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(given[0].numpy(), expected, rtol=1e-4, atol=1e-5)
    assert backbone.state_dict().keys() == {f"network.{key}" for key in backbone.network.state_dict()}


def test_weights_of_a_file_are_what_timm_makes_of_them(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "mine.safetensors")
    backbone = Backbone(SMALL, 32, {})
    unused = backbone.load(str(path))
    assert set(unused) == {key for key in random_state() if key.startswith("fc.")}
    reference = timm.create_model(SMALL, checkpoint_path=str(path))
    assert all(
        torch.equal(tensor, reference.state_dict()[key]) for key, tensor in backbone.network.state_dict().items()
    )


def test_a_file_of_faces_as_their_trainers_save_it(tmp_path: Path) -> None:
    state = timm.create_model("resnet18").state_dict()
    del state["bn1.num_batches_tracked"]
    path = tmp_path / "resnet18_faces.pth"
    torch.save({"epoch": 40, "state_dict": {f"module.{key}": value for key, value in state.items()}}, path)
    backbone = Backbone("resnet18", 32, {})
    assert backbone.load(str(path)) == ["fc.weight", "fc.bias"]
    assert torch.equal(backbone.network.conv1.weight, state["conv1.weight"])


def test_position_embeddings_are_resized_to_the_side(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "mine.safetensors", SMALL_VIT)
    for side in (48, 160):
        backbone = Backbone(SMALL_VIT, side, {})
        assert backbone.network.pos_embed.shape[1] == (side // 16) ** 2 + 1
        backbone.load(str(path))
        same = torch.equal(backbone.network.pos_embed, random_state(SMALL_VIT)["pos_embed"])
        assert same == (side == 160)


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    state = random_state()
    path = tmp_path / "odd.pth"
    torch.save({**state, "bn1.weight": torch.ones(99)}, path)
    with pytest.raises(UsageError, match=r"does not fit test_resnet: of another shape: bn1\.weight has 99 instead of"):
        Backbone(SMALL, 32, {}).load(str(path))
    with pytest.raises(UsageError, match=r"does not fit test_resnet: missing "):
        Backbone(SMALL, 32, {}).load(str(save_checkpoint(tmp_path / "vit.pth", SMALL_VIT)))
    with pytest.raises(UsageError, match="no such file"):
        Backbone(SMALL, 32, {}).load(str(tmp_path / "absent.pth"))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("visual.transformer.resblocks.0.ln_1.weight", "open_clip's, of a CLIP.*--encoder ARCHITECTURE --weights FILE"),
        ("vit.encoder.layer.0.attention.attention.query.weight", "Hugging Face's"),
        ("features.0.0.weight", "torchvision's.*tv_in1k"),
        ("layer9.weight", "Name the network that it was saved from"),
    ],
)
def test_names_of_another_library_are_said_to_be(tmp_path: Path, key: str, said: str) -> None:
    torch.save({f"module.{key}": torch.ones(1)}, tmp_path / "theirs.pth")
    with pytest.raises(UsageError, match=said):
        Backbone(SMALL, 32, {}).load(str(tmp_path / "theirs.pth"))


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module._orig_mod.", "model.backbone."])
def test_what_lightning_and_compilers_write_is_left_out(tmp_path: Path, prefix: str) -> None:
    state = {f"{prefix}{key}": value for key, value in random_state().items()}
    torch.save({"state_dict": {**state, "criterion.weight": torch.ones(7)}, "epoch": 1}, tmp_path / "mine.ckpt")
    backbone = Backbone(SMALL, 32, {})
    assert set(backbone.load(str(tmp_path / "mine.ckpt"))) == {"fc.weight", "fc.bias", "criterion.weight"}
    assert torch.equal(backbone.network.state_dict()["conv1.0.weight"], random_state()["conv1.0.weight"])


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "reachable", lambda url: False)
    monkeypatch.setattr(backbones, "fetched_before", lambda repository, filenames: None)


@pytest.mark.usefixtures("no_network")
def test_without_a_network_a_file_is_asked_for() -> None:
    with pytest.raises(
        UsageError, match=r"of resnet18 are not on this machine.*resnet18\.a1_in1k.*--trunk-weights FILE"
    ):
        Backbone("resnet18", 32, {}).load(PRETRAINED)


def test_a_network_that_timm_has_no_weights_of(monkeypatch: pytest.MonkeyPatch) -> None:
    without = next(name for name in timm.list_models("vit_*") if not timm.list_pretrained(f"{name}.*"))
    backbone = Backbone(SMALL, 32, {})
    backbone.network.pretrained_cfg = timm.get_pretrained_cfg(without).to_dict()
    with pytest.raises(UsageError, match="timm has no weights of test_resnet"):
        backbone.load(PRETRAINED)


def test_a_download_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = Backbone(SMALL, 32, {})

    def refused(name: str, **options: object) -> None:
        raise OSError("403 Client Error\nand more")

    monkeypatch.setattr(backbones, "reachable", lambda url: True)
    monkeypatch.setattr(timm, "create_model", refused)
    with pytest.raises(UsageError, match=r"403 Client Error\. Give a file of weights"):
        backbone.load(PRETRAINED)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet81", "no architecture 'resnet81'. Did you mean 'resnet"),
        ("????", "no architecture"),
        ("resnet18.a9_in1k", "no weights 'a9_in1k' of resnet18. Did you mean 'a[123]_in1k'"),
    ],
)
def test_unknown_names(name: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        Backbone(name, 32, {})


def test_names_with_and_without_a_tag_are_known() -> None:
    check_name("resnet18")
    check_name("resnet18.a1_in1k")


def test_options_that_do_not_fit_are_reported() -> None:
    with pytest.raises(UsageError, match=r"timm cannot build test_vit with num_classes=0, no_such=1"):
        Backbone(SMALL_VIT, None, {"no_such": 1})
