"""The small CLIPs that ship with the package: 48 x 48 pixels, offline, trained by `train.py` in this folder."""

import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg
from safetensors import SafetensorError
from torch import nn

from fercache.encoders.bundled import weights
from fercache.encoders.bundled.packing import packed
from fercache.encoders.open_clip.clip_encoder import Checkpoint, ClipEncoder
from fercache.errors import UsageError
from fercache.identity import file_hash
from fercache.options.extract import EncoderRequest


class Bundled(ClipEncoder):
    """A bundled encoder, or one retrained by the same script (`--weights FILE`)."""

    def _tower(self, precision: str) -> nn.Module:
        """See `NetworkEncoder`. The packed tower supports fp32 only."""
        packable = self.device == "cpu" and precision == "fp32"
        return packed(self.network.visual) if packable else super()._tower(precision)

    def settle(self, faces: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
        """Precision `auto` is fp32: for such a small model, a speed trial measures how busy the machine is.

        It affects scores: bf16 and fp32 rounding select different strengths of a linear probe that are equally good.
        """
        return {}

    def unknown_words(self, text: str) -> Sequence[str]:
        """See `TextEncoder.unknown_words`: words that never occurred in training and have no weights."""
        embedding = self.network.text.token_embedding.weight
        unknown = []
        for word in dict.fromkeys(re.findall(r"[^\W_]+", text)):
            begin, *pieces = self._tokenizer([word])[0].tolist()
            end = begin + 1  # CLIP's two last tokens
            if not embedding[pieces[: pieces.index(end)]].any(dim=1).all():
                unknown.append(word)
        return unknown

    @classmethod
    def knows(cls, name: str) -> bool:
        """Whether `name` is one of the encoders that ship, or a version such as `bundled@1`."""
        return name in weights.FILES

    @classmethod
    def licence(cls, request: EncoderRequest) -> str:
        """See `Encoder.licence`. FERPlus is among what they were trained on."""
        return "" if request.weights else "MIT; the rights of the training photographs are not cleared"

    @classmethod
    def load(cls, request: EncoderRequest) -> "Bundled":
        """See `Encoder.load`. Raises UsageError for weights that are not of this architecture."""
        own, _ = weights.FILES[request.name]
        encoder = cls(checkpoint(request.weights or weights.FOLDER / own), request)
        encoder.seen = tuple(card(request.name)["seen"])
        return encoder


def checkpoint(path: Path) -> Checkpoint:
    """The model with the weights of `path`."""
    shipped = path.parent == weights.FOLDER
    if shipped and not path.is_file():
        raise UsageError(f"{path}: no such file. The weights ship with the package: reinstall fercache.")
    model = weights.build()
    try:
        model.load_state_dict(weights.read(path))
        config = weights.architecture(weights.side_of(path))
    except (RuntimeError, KeyError, ValueError, IndexError, SafetensorError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise UsageError(
            f"{path} does not fit the bundled encoder ({reason}). Expected a file written by its train.py."
        ) from None
    return Checkpoint(
        name=path.stem if shipped else f"bundled--{path.stem}",
        model=model,
        tokenizer=partial(open_clip.tokenize, context_length=config["text_cfg"]["context_length"]),
        preprocessing=PreprocessCfg(size=config["vision_cfg"]["image_size"], **config["preprocess_cfg"]),
        dimension=config["embed_dim"],
        origin={"family": "bundled", "architecture": config, "weights_sha256": file_hash(path), "activation": "gelu"},
    )


def card(name: str = "bundled") -> dict[str, Any]:
    """The training data, recipe and scores of a version."""
    described: dict[str, Any] = json.loads((weights.FOLDER / weights.FILES[name][1]).read_text(encoding="utf-8"))
    return described


plugin = Bundled
