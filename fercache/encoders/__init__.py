"""The encoder contract. Every other file in this folder is one encoder family."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True, slots=True)
class EncoderRequest:
    """What a user may say about an encoder. `name` is `FAMILY`, or an architecture and tag as open_clip writes them."""

    name: str = "bundled"
    weights: Path | None = None
    preprocessing: str = "clip"
    device: str = "auto"
    precision: str = "auto"


class Encoder(ABC):
    """A frozen face encoder on one device, in one precision.

    A plugin is a class with the classmethods `knows(name) -> bool` (is this `--encoder` value mine?) and
    `load(request) -> Encoder`. Until `settle` has been called, an encoder asked for precision `auto` works in fp32.
    """

    name: str
    """Its folder in the cache: `bundled`, `vit-b-32--openai`."""
    dimension: int
    image_size: int
    device: str
    precision: str
    seen: tuple[str, ...] = ()
    """Data sets and splits that it was trained on: `ferplus@train`."""

    @classmethod
    @abstractmethod
    def knows(cls, name: str) -> bool:
        """Whether an `--encoder` value is this family's."""

    @classmethod
    @abstractmethod
    def load(cls, request: EncoderRequest) -> "Encoder":
        """The encoder asked for, on its device. Raises UsageError for wrong names, weights, devices."""

    @abstractmethod
    def settle(self, faces: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
        """Fix precision `auto`: the fastest whose features of the first 32 preprocessed `faces` agree with fp32's.

        Features are centred by their mean; every cosine must be >= 0.995 and their average >= 0.999. Returns what was
        measured, for the provenance; returns {} when the precision was given.
        """

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything that changes its numbers, as JSON: architecture, weights, activation, preprocessing, precision."""

    @abstractmethod
    def preprocess(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) -> (S, S, 3), both uint8 RGB: resize and crop only. Called from several threads."""

    @abstractmethod
    def encode_images(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(B, S, S, 3) uint8 -> (B, D) raw, un-normalised features after the projection."""


class TextEncoder(Encoder):
    """An encoder that embeds text in the space of its images."""

    logit_scale: float

    @abstractmethod
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(T, D) raw, un-normalised embeddings."""

    @abstractmethod
    def text_identity(self) -> dict[str, Any]:
        """The part of `identity` that changes text embeddings (no image preprocessing, no precision: text is fp32)."""
