"""The bundled encoder's architecture and its weights on disk."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor

from fercache.weights.state_dicts import read_state

FOLDER = Path(__file__).parent
FILE = "bundled.safetensors"
FILES: Mapping[str, tuple[str, str]] = {
    "bundled": (FILE, "card.json"),
    "bundled@2": (FILE, "card.json"),
    "bundled@1": ("bundled-1.safetensors", "card-1.json"),
}
"""The weights and the card of each version by its name."""
EMBEDDING = "text.token_embedding.weight"
TOKENS = "text.token_embedding.tokens"


def architecture() -> dict[str, Any]:
    """The open_clip model config."""
    config: dict[str, Any] = json.loads((FOLDER / "architecture.json").read_text())
    return config


def build() -> Any:
    """The model with random weights."""
    config = architecture()
    return open_clip.CustomTextCLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"])


def save(state: Mapping[str, Tensor], tokens: Tensor, path: Path) -> None:
    """Write the `state` of a model, in float16, whose token embedding holds only the rows of `tokens` (U,)."""
    halves = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    save_file({name: value.contiguous() for name, value in halves.items()} | {TOKENS: tokens.int()}, path)


def read(path: Path) -> dict[str, Tensor]:
    """The float32 state of the full model, as in open_clip; tokens that never occurred in training are zero rows.

    Raises UsageError for any file that does not hold weights.
    """
    state = {name: value.float() if value.is_floating_point() else value for name, value in read_state(path).items()}
    tokens, rows = state.pop(TOKENS).long(), state[EMBEDDING]
    state[EMBEDDING] = torch.zeros(architecture()["text_cfg"]["vocab_size"], rows.shape[1]).index_copy_(0, tokens, rows)
    return state
