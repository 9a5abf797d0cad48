"""A network laid out for inference computes what it computed before."""

import open_clip
import pytest
import timm
import torch
from torch import Tensor, nn

from fercache.encoders import _inference as inference
from fercache.encoders._inference import PackedProduct, SelfAttention, laid_out

VISION = {"image_size": 32, "patch_size": 8, "width": 64, "layers": 2, "head_width": 16}
TEXT = {"context_length": 8, "vocab_size": 100, "width": 32, "heads": 2, "layers": 1}
IMAGES = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def tower(**more: object) -> nn.Module:
    torch.manual_seed(0)
    visual: nn.Module = open_clip.CLIP(16, {**VISION, **more}, TEXT).visual
    for parameter in visual.parameters():  # open_clip leaves some at zero, where nothing would be seen
        nn.init.normal_(parameter, std=0.05)
    return visual.eval().requires_grad_(False)


def features(network: nn.Module, dtype: torch.dtype = torch.float32) -> Tensor:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        found: Tensor = network(IMAGES).float()
    return found


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize(
    "more", [{}, {"ls_init_value": 0.1}, {"pool_type": "avg"}, {"attentional_pool": True}], ids=str
)
def test_features_are_the_same(more: dict[str, object], packs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not packs:
        monkeypatch.setattr(inference, "can_pack", lambda: False)
    network = tower(**more)
    ours = laid_out(network, torch.float32, "cpu")
    assert any(isinstance(module, SelfAttention) for module in ours.modules())
    assert any(isinstance(module, PackedProduct) for module in ours.modules()) == packs
    torch.testing.assert_close(features(ours), features(network), rtol=1e-4, atol=1e-5)


def test_bf16_is_as_near_as_autocast() -> None:
    network = tower()
    exact = features(network)
    ours = (features(laid_out(network, torch.bfloat16, "cpu"), torch.bfloat16) - exact).abs().max()
    theirs = (features(network, torch.bfloat16) - exact).abs().max()
    assert 0 < ours < 2 * theirs


def test_timms_networks_are_laid_out_too() -> None:
    network = timm.create_model("test_vit", pretrained=False, img_size=32).eval().requires_grad_(False)
    torch.testing.assert_close(
        features(laid_out(network, torch.float32, "cpu")), features(network), rtol=1e-4, atol=1e-5
    )


def test_the_network_itself_stays_as_it_is() -> None:
    network = tower()
    before = [type(module) for module in network.modules()]
    laid_out(network, torch.bfloat16, "cpu")
    assert [type(module) for module in network.modules()] == before
    assert all(parameter.dtype is torch.float32 for parameter in network.parameters())


def test_what_is_no_self_attention_is_left_to_the_original() -> None:
    original = nn.MultiheadAttention(16, 2, batch_first=True).eval().requires_grad_(False)
    ours = laid_out(original, torch.float32, "cpu")
    one, other = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    mask = torch.zeros(3, 3).fill_(-torch.inf).triu(1)
    for inputs, more in [((one, other, other), {}), ((one, one, one), {"attn_mask": mask, "need_weights": False})]:
        torch.testing.assert_close(ours(*inputs, **more)[0], original(*inputs, **more)[0])


@pytest.mark.parametrize("more", [{"batch_first": False}, {"kdim": 8, "vdim": 8}, {"add_zero_attn": True}])
def test_unusual_attention_stays(more: dict[str, object]) -> None:
    original = nn.MultiheadAttention(16, 2, **{"batch_first": True, **more})
    assert type(laid_out(original, torch.float32, "cpu")) is nn.MultiheadAttention
