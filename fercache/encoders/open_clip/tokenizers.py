"""The tokenizer of a CLIP: open_clip's own, or Hugging Face's, from a folder, this machine's cache or the hub."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import open_clip

from fercache.errors import UsageError
from fercache.weights.hub import HUB, fetched_before, reachable

EXTRA = "pip install 'fercache[transformers]'"
FILES = "tokenizer.json and tokenizer_config.json"


def needs_transformers(architecture: str, text: object) -> None:
    """Raises UsageError if a config's `text_cfg` needs Hugging Face's library and it is not installed."""
    wanted = isinstance(text, Mapping) and {"hf_model_name", "hf_tokenizer_name"} & text.keys()
    if wanted and find_spec("transformers") is None:
        raise UsageError(f"{architecture} reads text with Hugging Face's transformers, which is not installed: {EXTRA}")


def tokenizer(name: str, architecture: str, config: Mapping[str, Any]) -> Any:
    """The tokenizer of an architecture, `local-dir:` or `hf-hub:`. Raises UsageError if it cannot be loaded.

    Nothing is fetched for a folder with the files.
    """
    text = config.get("text_cfg", {})
    needs_transformers(architecture, text)
    wanted = text.get("hf_tokenizer_name") or text.get("hf_model_name") or ""
    try:
        if wanted and not _is_there(name, wanted) and not reachable(HUB):  # its library would try for minutes
            raise OSError(f"{HUB} does not answer")
        return open_clip.get_tokenizer(name)
    except (OSError, RuntimeError, ValueError, TypeError, ImportError, AttributeError):
        raise UsageError(
            f"The tokenizer of {architecture}, {wanted or name}, is not on this machine and cannot be fetched. Put its "
            f"{FILES} beside the weights and open_clip_config.json, and give the folder: --encoder local-dir:FOLDER"
        ) from None


def _is_there(name: str, wanted: str) -> bool:
    folder = Path(name.removeprefix("local-dir:")) if name.startswith("local-dir:") else Path(wanted)
    files = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "spiece.model")
    return any((folder / file).is_file() for file in files) or fetched_before(wanted, files) is not None
