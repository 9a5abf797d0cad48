"""Checkpoints of timm's smallest networks, with random weights."""

from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

SMALL = "test_resnet"
"""Half a million weights, images of 160 pixels."""

SMALL_VIT = "test_vit"
"""As small, of a fixed size."""


def random_state(architecture: str = SMALL) -> dict[str, Tensor]:
    """All weights, those of the classifier too, none of them the same for any two channels."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        state: dict[str, Tensor] = timm.create_model(architecture, pretrained=False).state_dict()
        return {
            key: value + 0.01 * torch.rand_like(value) if value.is_floating_point() else value
            for key, value in state.items()
        }


def save_checkpoint(path: Path, architecture: str = SMALL) -> Path:
    """Writes such a checkpoint."""
    state = random_state(architecture)
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path
