"""The bundled encoder's architecture and its weights on disk."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from fercache.weights.state_dicts import read_state

FOLDER = Path(__file__).parent
FILE = "bundled.safetensors"
FILES: Mapping[str, tuple[str, str]] = {
    "bundled": (FILE, "card.json"),
    "bundled@3": (FILE, "card.json"),
    "bundled@2": ("bundled-2.safetensors", "card-2.json"),
    "bundled@1": ("bundled-1.safetensors", "card-1.json"),
    "bundled-general": ("bundled-general.safetensors", "card-general.json"),
}
"""The weights and the card of each encoder and version by its name."""
EMBEDDING = "text.token_embedding.weight"
TOKENS = "text.token_embedding.tokens"
SIDE = "image_size"
FIRST_SIDE = 64  # pixels, of files that do not say


def architecture(side: int | None = None) -> dict[str, Any]:
    """The open_clip model config, for images of another `side` in pixels."""
    config: dict[str, Any] = json.loads((FOLDER / "architecture.json").read_text())
    config["vision_cfg"]["image_size"] = side or config["vision_cfg"]["image_size"]
    return config


def build() -> Any:
    """The model with random weights."""
    config = architecture()
    return open_clip.CustomTextCLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"])


def save(state: Mapping[str, Tensor], tokens: Tensor, path: Path, *, side: int) -> None:
    """Write the `state` of a model, in float16, whose token embedding holds only the rows of `tokens` (U,).

    `side` is that of the images that it was trained on last, in pixels.
    """
    halves = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    tensors = {name: value.contiguous() for name, value in halves.items()} | {TOKENS: tokens.int()}
    save_file(tensors, path, metadata={SIDE: str(side)})


def side_of(path: Path) -> int:
    """The side of the images for the weights at `path`, a safetensors file."""
    with safe_open(path, "pt") as file:
        return int((file.metadata() or {}).get(SIDE, FIRST_SIDE))


def read(path: Path) -> dict[str, Tensor]:
    """The float32 state of the full model, as in open_clip; tokens that never occurred in training are zero rows.

    Raises UsageError for any file that does not hold weights.
    """
    state = {name: value.float() if value.is_floating_point() else value for name, value in read_state(path).items()}
    tokens, rows = state.pop(TOKENS).long(), state[EMBEDDING]
    state[EMBEDDING] = torch.zeros(architecture()["text_cfg"]["vocab_size"], rows.shape[1]).index_copy_(0, tokens, rows)
    return state
