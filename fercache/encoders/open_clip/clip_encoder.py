"""A CLIP model as an encoder: preprocessing, features of images and of texts."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip.constants import IMAGENET_MEAN, IMAGENET_STD
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor, nn

from fercache.encoders import OWN, NetworkEncoder, Preprocessing, TextEncoder, square_side
from fercache.encoders._resizing import kernels
from fercache.errors import UsageError
from fercache.options.extract import EncoderRequest

GEOMETRY = ("resize_mode", "interpolation", "fill_color", "kernels")
TEXT_BATCH = 256

Tokenizer = Callable[[list[str]], Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A model with its weights loaded.

    `origin` is its part of the identity: architecture, sha256 of the weights, activation.
    """

    name: str
    model: Any
    tokenizer: Tokenizer
    preprocessing: PreprocessCfg
    dimension: int
    origin: dict[str, Any]


class ClipEncoder(NetworkEncoder, TextEncoder):
    """Raw features after the projection, from any model that has open_clip's two `encode_` methods."""

    def __init__(self, checkpoint: Checkpoint, request: EncoderRequest) -> None:
        """Raises UsageError for an unknown or unavailable preprocessing, device or precision."""
        chosen = preprocessing_named(request.preprocessing, checkpoint.preprocessing, checkpoint.name)
        described = described_as(request.preprocessing, chosen)
        super().__init__(checkpoint.name, checkpoint.model, checkpoint.dimension, checkpoint.origin, described, request)
        self._tokenizer = checkpoint.tokenizer
        self.logit_scale = float(self.network.logit_scale.exp())

    def text_identity(self) -> dict[str, Any]:
        """See `TextEncoder.text_identity`."""
        return {name: value for name, value in self.identity().items() if name in self._origin}

    def _image_network(self) -> nn.Module:
        """See `NetworkEncoder`."""
        return _Projected(self.network.visual)

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `TextEncoder.encode_texts`."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        tokens = self._tokenizer(list(texts)).to(self.device)
        raw = (self.network.encode_text(batch, normalize=False) for batch in tokens.split(TEXT_BATCH))
        return torch.cat([embedded.float().cpu() for embedded in raw]).numpy()

    def cut_from(self, text: str) -> str:
        """See `TextEncoder.cut_from`: a truncated text has the tokens of its beginning."""
        words, tokens = text.split(), self._tokenizer([text])
        read = bisect_left(range(len(words)), True, key=lambda n: self._tokenizer([" ".join(words[:n])]).equal(tokens))
        return " ".join(words[read:])


class _Projected(nn.Module):
    """An image tower without the tokens that some (CoCa's) return with the features."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, pixels: Tensor) -> Tensor:
        found = self.visual(pixels)
        features: Tensor = found[0] if isinstance(found, tuple) else found
        return features


def preprocessing_named(preset: str, own: PreprocessCfg, name: str) -> PreprocessCfg:
    """The model's `own`, or the preset's. Raises UsageError for an unknown preset, or a wrong size for imagenet-224."""
    if preset == OWN:
        return own
    if image_side(own) != 224:
        raise UsageError(f"--preprocessing imagenet-224 needs an encoder of 224 pixels; {name} has {image_side(own)}.")
    return PreprocessCfg(size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD, interpolation="bilinear", resize_mode="squash")


def image_side(preprocessing: PreprocessCfg) -> int:
    """S of the S x S images. Raises UsageError if the model's images are not square."""
    size = preprocessing.size
    return square_side(size, size) if isinstance(size, int) else square_side(*size)


def described_as(preset: str, chosen: PreprocessCfg) -> Preprocessing:
    """open_clip's own preprocessing."""
    side = image_side(chosen)
    described = {"preset": preset, **asdict(chosen), "size": side, "kernels": kernels(steps(chosen, side))}
    return Preprocessing(
        side, chosen.mean, chosen.std, described=described, geometry=GEOMETRY, steps=lambda side: steps(chosen, side)
    )


def steps(preprocessing: PreprocessCfg, side: int) -> Sequence[Any]:
    """The steps of open_clip's evaluation transform to images of `side` pixels."""
    transforms: Sequence[Any] = image_transform_v2(replace(preprocessing, size=side), is_train=False).transforms
    return transforms
