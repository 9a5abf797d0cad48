"""Which library a file's key names come from, if they do not fit the network."""

import re
from collections.abc import Iterable

_CONVERT = "Take the same weights in open_clip's format (--encoder ARCHITECTURE/TAG), or rename them"
_ENCODER = "--encoder timm/NAME --weights FILE"

_MAKERS = (
    (
        "Hugging Face's",
        r"(vision|text)_model\.(encoder|embeddings)\.|visual_projection\.weight$|text_projection\.weight$",
        "a CLIPModel",
        _CONVERT,
    ),
    (
        "Hugging Face's",
        r"(^|\.)encoder\.layers?\.\d+\.(attention|layernorm_)|embeddings\.patch_embeddings\.",
        "a transformers model",
        f"Take the same network's weights from timm ({_ENCODER}), or rename them",
    ),
    (
        "torchvision's",
        r"encoder_layer_\d+\.|^features\.\d+\.|^conv_proj\.weight$",
        "a torchvision model",
        f"Take timm's file of the same weights, which timm tags tv_in1k ({_ENCODER}), or rename them",
    ),
    (
        "open_clip's",
        r"(^|\.)resblocks\.\d+\.|^visual\.(conv1|layer1|attnpool|trunk)\b|^text\.transformer\.",
        "a CLIP",
        "Give it to an encoder of open_clip: --encoder ARCHITECTURE --weights FILE",
    ),
    (
        "timm's",
        r"(^|\.)blocks\.\d+\.(attn|norm1|\d+\.conv)|^patch_embed\.|^stages\.\d+\.|^layers\.\d+\.blocks\.",
        "an image network",
        f"Use {_ENCODER}, which has no text tower",
    ),
    (
        "torchvision's and timm's",
        r"^layer[1-4]\.\d+\.conv1\.weight$",
        "a ResNet",
        f"Use {_ENCODER}, which has no text tower",
    ),
)
"""The first entry that matches a key."""


def way_out(keys: Iterable[str], reader: str) -> str:
    """Where `keys` come from and what to do, as a sentence; empty if they are `reader`'s, or unknown."""
    names = list(keys)
    for maker, pattern, what, remedy in _MAKERS:
        if any(re.search(pattern, name) for name in names):
            return "" if reader in maker else f"Its names are {maker}, of {what}. {remedy}."
    return ""
