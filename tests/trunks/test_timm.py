"""Any timm network as a trunk."""

from pathlib import Path

import pytest
import torch

from fercache.errors import UsageError
from fercache.trunks import Faces
from fercache.trunks.timm import TimmTrunk
from fercache.weights.timm_backbone import Backbone
from tests.encoders.timm_fixtures import SMALL, SMALL_VIT, random_state, save_checkpoint


def crops(count: int = 2, side: int = 32) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randint(256, (count, side, side, 3), generator=random).to(torch.uint8)


def test_it_is_the_backbone_on_the_crops_alone() -> None:
    trunk = TimmTrunk(SMALL, 512, 32, {}).eval()
    with torch.inference_mode():
        output = trunk(Faces(torch.zeros(2, 512), crops()))
        assert torch.equal(output, trunk.backbone(crops()))
    assert output.shape == (2, trunk.width) and trunk.width == Backbone(SMALL, None, {}).width


def test_it_knows_timms_names() -> None:
    assert all(map(TimmTrunk.knows, ["resnet18", "swin_tiny_patch4_window7_224", "vit_base_patch16_clip_224.openai"]))
    assert not any(map(TimmTrunk.knows, ["mlp", "", "resnet"]))


@pytest.mark.parametrize("side", [32, 96])
def test_a_network_of_fixed_size_is_built_for_the_crops(side: int) -> None:
    trunk = TimmTrunk(SMALL_VIT, 512, side, {}).eval()
    assert trunk(Faces(torch.zeros(2, 512), crops(side=side))).shape == (2, trunk.width)


def test_options_are_timms() -> None:
    trunk = TimmTrunk(SMALL_VIT, 512, 32, {"patch_size": 8})
    assert trunk.backbone.network.patch_embed.patch_size == (8, 8)
    with pytest.raises(UsageError, match="timm cannot build test_resnet with num_classes=0, patch_size=8"):
        TimmTrunk(SMALL, 512, 32, {"patch_size": 8})


def test_it_takes_a_files_weights_and_names_the_rest(tmp_path: Path) -> None:
    trunk = TimmTrunk(SMALL, 512, 32, {})
    unused = trunk.load_weights(str(save_checkpoint(tmp_path / "mine.pth")))
    assert set(unused) == {"fc.weight", "fc.bias"}
    state = random_state()
    assert all(torch.equal(tensor, state[key]) for key, tensor in trunk.backbone.network.state_dict().items())


def test_all_of_it_is_trained_and_stored() -> None:
    trunk = TimmTrunk(SMALL, 512, 32, {})
    assert all(parameter.requires_grad for parameter in trunk.parameters())
    assert trunk.state_dict().keys() == {f"backbone.network.{key}" for key in trunk.backbone.network.state_dict()}
