"""A CLIP small enough to build in a test, saved in the forms that users have."""

import json
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
PREPROCESSING = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}


def tiny_model(seed: int = 0) -> open_clip.CLIP:
    """Random weights, large enough that two inputs differ visibly."""
    torch.manual_seed(seed)
    return open_clip.CLIP(**CONFIG)


def save_folder(folder: Path, quick_gelu: bool = False) -> Path:
    """A folder for `local-dir:`."""
    folder.mkdir(exist_ok=True)
    own = {"model_cfg": {**CONFIG, "quick_gelu": quick_gelu}, "preprocess_cfg": PREPROCESSING}
    (folder / "open_clip_config.json").write_text(json.dumps(own))
    save_file(tiny_model().state_dict(), folder / "open_clip_model.safetensors")
    return folder


def register_architectures(folder: Path) -> None:
    """Make `Tiny-16` and `Tiny-16-quickgelu` built-in architectures of this process."""
    folder.mkdir(exist_ok=True)
    for name, config in (("Tiny-16", CONFIG), ("Tiny-16-quickgelu", {**CONFIG, "quick_gelu": True})):
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
