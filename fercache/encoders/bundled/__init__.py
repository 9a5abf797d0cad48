"""The small CLIP that ships with the package: 64 x 64 pixels, works offline, trained by `train.py` beside it."""

import json
import re
import warnings
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg
from torch import nn

from fercache.encoders.bundled import weights
from fercache.encoders.open_clip.clip_encoder import Checkpoint, ClipEncoder
from fercache.errors import UsageError
from fercache.identity import file_hash
from fercache.options.extract import EncoderRequest


class Bundled(ClipEncoder):
    """The bundled encoder, or one retrained by the same script (`--weights FILE`)."""

    def _tower(self, precision: str) -> nn.Module:
        """See `NetworkEncoder`. The packed tower knows fp32 only."""
        packable = self.device == "cpu" and precision == "fp32"
        return packed(self.network.visual) if packable else super()._tower(precision)

    def settle(self, faces: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
        """Precision `auto` is fp32: for so small a model a trial is decided by how busy the machine is.

        Scores turn on it: of two equally good strengths of a linear probe, bf16's rounding chose another than fp32.
        """
        return {}

    def unknown_words(self, text: str) -> Sequence[str]:
        """See `TextEncoder.unknown_words`: those that its training never met, of which nothing is in the weights."""
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
        """Whether `name` is `bundled`."""
        return name == "bundled"

    @classmethod
    def load(cls, request: EncoderRequest) -> "Bundled":
        """See `Encoder.load`. Raises UsageError for weights that are not of this architecture."""
        encoder = cls(checkpoint(request.weights or weights.FOLDER / weights.FILE), request)
        encoder.seen = tuple(card()["seen"])
        return encoder


def packed(tower: nn.Module) -> nn.Module:
    """The same function for a processor: batch norms folded into the convolutions, weights laid out for them.

    Measured on two AVX512-BF16 cores: 1.4 to 1.6 times the faces per second of the tower as it is.
    """
    try:
        from torch.fx.experimental.optimization import optimize_for_inference
    except ImportError:  # PyTorch calls it experimental; without it the encoder is slower, not wrong
        return tower
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch's own, about how it does this
        return optimize_for_inference(deepcopy(tower))


def checkpoint(path: Path) -> Checkpoint:
    """The model with the weights of `path`."""
    shipped = path.parent == weights.FOLDER
    if shipped and not path.is_file():
        raise UsageError(f"{path}: there is no such file. The weights ship with the package: reinstall fercache.")
    config = weights.architecture()
    model = weights.build()
    try:
        model.load_state_dict(weights.read(path))
    except (RuntimeError, KeyError, ValueError, IndexError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise UsageError(
            f"{path} does not fit the bundled encoder ({reason}). It takes what its train.py writes."
        ) from None
    return Checkpoint(
        name="bundled" if shipped else f"bundled--{path.stem}",
        model=model,
        tokenizer=partial(open_clip.tokenize, context_length=config["text_cfg"]["context_length"]),
        preprocessing=PreprocessCfg(size=config["vision_cfg"]["image_size"], **config["preprocess_cfg"]),
        dimension=config["embed_dim"],
        origin={"family": "bundled", "architecture": config, "weights_sha256": file_hash(path), "activation": "gelu"},
    )


def card() -> dict[str, Any]:
    """What the encoder was trained on, how, and how well it does."""
    described: dict[str, Any] = json.loads((weights.FOLDER / "card.json").read_text(encoding="utf-8"))
    return described


plugin = Bundled
