"""The tokenizer of a CLIP: open_clip's own, or Hugging Face's, from a folder, this machine's cache or the hub."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import open_clip

from fercache.errors import UsageError
from fercache.state_dicts import first_line

EXTRA = "pip install 'fercache[transformers]'"
FILES = "tokenizer.json and tokenizer_config.json"


def needs_transformers(architecture: str, text: object) -> None:
    """Raises UsageError where a config's `text_cfg` asks for Hugging Face's library and it is not installed."""
    wanted = isinstance(text, Mapping) and {"hf_model_name", "hf_tokenizer_name"} & text.keys()
    if wanted and find_spec("transformers") is None:
        raise UsageError(f"{architecture} reads text with Hugging Face's transformers, which is not installed: {EXTRA}")


def tokenizer(name: str, architecture: str, config: Mapping[str, Any]) -> Any:
    """What makes tokens of texts, for an architecture, `local-dir:` or `hf-hub:`. Raises UsageError without one.

    Nothing is fetched for a folder that has the files.
    """
    text = config.get("text_cfg", {})
    needs_transformers(architecture, text)
    try:
        return open_clip.get_tokenizer(name)
    except (OSError, RuntimeError, ValueError, TypeError, ImportError, AttributeError) as error:
        wanted = text.get("hf_tokenizer_name") or text.get("hf_model_name") or name
        raise UsageError(
            f"The tokenizer of {architecture}, {wanted}, cannot be had: {first_line(error)} Put its {FILES} beside the "
            "weights and open_clip_config.json, and give the folder: --encoder local-dir:FOLDER"
        ) from None
