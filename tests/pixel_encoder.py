"""An encoder without torch, a fixed random projection of a small image: for tests of what surrounds encoders."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fercache import registry
from fercache.encoders import TextEncoder
from fercache.options.extract import EncoderRequest

SIDE = 8


class PixelEncoder(TextEncoder):
    """Counts the faces it was given in `encoded`."""

    name = "pixels"
    dimension = 32
    image_size = SIDE
    device = "cpu"
    precision = "fp32"
    logit_scale = 20.0
    encoded = 0

    def __init__(self) -> None:
        self.projection = np.random.default_rng(0).normal(size=(SIDE * SIDE * 3, self.dimension)).astype(np.float32)

    @classmethod
    def knows(cls, name: str) -> bool:
        return name == cls.name

    @classmethod
    def load(cls, request: EncoderRequest) -> "PixelEncoder":
        return cls()

    def settle(self, faces: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
        return {}

    def identity(self) -> dict[str, Any]:
        return {"architecture": self.name, "preprocessing": self.geometry(), "precision": self.precision}

    def text_identity(self) -> dict[str, Any]:
        return {"architecture": self.name}

    def preprocess(self, pixels: NDArray[np.uint8], side: int | None = None) -> NDArray[np.uint8]:
        return np.asarray(Image.fromarray(pixels).resize((side or SIDE, side or SIDE)))

    def geometry(self) -> dict[str, Any]:
        return {"resize_mode": "squash"}

    def encode_images(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        type(self).encoded += len(faces)
        # One face at a time, so that a face's bits do not depend on its batch.
        return np.stack([(face.reshape(-1) / np.float32(255) - np.float32(0.5)) @ self.projection for face in faces])

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        seeds = [list(text.encode()) for text in texts]
        return np.stack([np.random.default_rng(seed).normal(size=self.dimension) for seed in seeds]).astype("f4")


@pytest.fixture
def pixel_encoder(monkeypatch: pytest.MonkeyPatch) -> type[PixelEncoder]:
    """The encoder, for one test."""
    return make_known(monkeypatch)


def make_known(patch: pytest.MonkeyPatch) -> type[PixelEncoder]:
    """`--encoder pixels` means this one, until the patch is undone."""
    others = registry.encoder_family
    patch.setattr(PixelEncoder, "encoded", 0)
    patch.setattr(registry, "encoder_family", lambda name: PixelEncoder if name == "pixels" else others(name))
    return PixelEncoder
