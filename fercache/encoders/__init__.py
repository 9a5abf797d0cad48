"""The encoder contract, and what torch networks share. Every other file in this folder is one encoder family."""

import json
import re
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fercache import registry
from fercache.encoders._inference import laid_out
from fercache.encoders._resizing import Resizing, kernels, on_pixels, steps_on_pixels
from fercache.errors import FercacheError, UsageError
from fercache.identity import canonical_json
from fercache.options.extract import EncoderRequest
from fercache.plugins import Origin
from fercache.runtime import precisions
from fercache.runtime.devices import resolve_device

PRECISIONS = precisions.PRECISIONS
OWN, IMAGENET_224 = "clip", "imagenet-224"
"""Preprocessing: the network's own, or CAFE's: 224 x 224 without a crop, ImageNet's mean and deviation."""

BATCH_ON_PROCESSOR, BATCH_ON_GPU = 32, 256
"""Measured on a processor; see docs/scale.md."""
QUEUED = 2
"""Threads that keep a GPU busy: one prepares its batch while the GPU encodes the other's."""
LAID_OUT, PLAIN = "laid out", "plain"
AGREEMENT = {"fp32": 0.9999}
REDUCED_AGREEMENT = 0.99
"""Least cosine between laid-out and plain features, as differences of two images; for bf16 and fp16."""
SHORT_OF_MEMORY = "Use --device cpu, or a smaller encoder."


class Encoder(ABC):
    """A frozen face encoder on one device, in one precision.

    A plugin is a class with the classmethods `knows(name) -> bool` (is this `--encoder` value mine?) and
    `load(request) -> Encoder`. Until `settle` has been called, an encoder asked for precision `auto` works in fp32.
    """

    name: str
    """Its folder name in the cache: `bundled`, `vit-b-32--openai`."""
    dimension: int
    image_size: int
    device: str
    precision: str
    at_once: int = 1
    """Threads that may encode simultaneously."""
    batch_size: int = 64
    """Default batch size, in faces."""
    layout: str = LAID_OUT
    """How the network computes: laid out for inference, or plain, with the reason. Set to PLAIN for a few faces."""
    seen: tuple[str, ...] = ()
    """Datasets and splits it was trained on: `ferplus@train`."""
    origin: Origin | None = None
    """Where a plugin from outside comes from; `load_encoder` sets it."""

    @classmethod
    @abstractmethod
    def knows(cls, name: str) -> bool:
        """Whether an `--encoder` value belongs to this family."""

    @classmethod
    @abstractmethod
    def load(cls, request: EncoderRequest) -> "Encoder":
        """The requested encoder, on its device. Raises UsageError for wrong names, weights or devices."""

    @classmethod
    def unfetched(cls, request: EncoderRequest) -> str:
        """The URL of the weights, empty if they are on this machine. Does not use the network."""
        return ""

    @classmethod
    def licence(cls, request: EncoderRequest) -> str:
        """The licence of the weights; "" if it is not known."""
        return ""

    @abstractmethod
    def settle(self, faces: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
        """Fix precision `auto`: the fastest whose features of some preprocessed `faces` agree with fp32's.

        Features are centred by their mean; every cosine must be >= 0.995 and their average >= 0.999. Returns the
        measurements, for the provenance; {} if the precision was given.
        """

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything that affects features, as JSON: architecture, weights, activation, preprocessing, precision."""

    def key_identity(self) -> dict[str, Any]:
        """What keys and tables hold of it: `identity`, and of a plugin from outside the hash of its code.

        Of ours, a change that changes numbers changes the identity; of others nothing promises that.
        """
        return self.identity() | self._code()

    def _code(self) -> dict[str, Any]:
        return {"plugin": self.origin.identity} if self.origin else {}

    @abstractmethod
    def preprocess(self, pixels: NDArray[np.uint8], side: int | None = None) -> NDArray[np.uint8]:
        """(H, W, 3) -> (S, S, 3), both uint8 RGB: resize and crop only. Called from several threads.

        S is `side`, by default the encoder's own `image_size`.
        """

    @abstractmethod
    def geometry(self) -> dict[str, Any]:
        """What affects the images of `preprocess` except their side; a part of the identity's `preprocessing`."""

    @abstractmethod
    def encode_images(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(B, S, S, 3) uint8 -> (B, D) raw, un-normalised features after the projection.

        Called from up to `at_once` threads, each of which computes on one core.
        """


class TextEncoder(Encoder):
    """An encoder that embeds text in the space of its images."""

    logit_scale: float

    @abstractmethod
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(T, D) raw, un-normalised embeddings."""

    def cut_from(self, text: str) -> str:
        """The words beyond the longest text that the encoder reads; "" if there are none."""
        return ""

    def unknown_words(self, text: str) -> Sequence[str]:
        """The words of a text that this encoder does not know."""
        return ()

    @abstractmethod
    def text_identity(self) -> dict[str, Any]:
        """The part of `identity` that affects text embeddings (no image preprocessing, no precision: text is fp32)."""

    def key_text_identity(self) -> dict[str, Any]:
        """See `key_identity`, of `text_identity`."""
        return self.text_identity() | self._code()


def load_encoder(request: EncoderRequest) -> Encoder:
    """The encoder asked for, of whatever family. Raises UsageError as `Encoder.load`, and where no family knows it."""
    encoder: Encoder = registry.encoder_family(request.name).load(request)
    encoder.origin = registry.origin("encoders", request.name)
    return encoder


@dataclass(frozen=True)
class Preprocessing:
    """From an image to a network's input: the library's transform, `steps(side)`, ends with `mean` and `deviation`.

    `described` is all of it, as JSON; `geometry` names the entries that affect images except their side.
    """

    side: int
    mean: Sequence[float]
    deviation: Sequence[float]
    described: Mapping[str, Any]
    geometry: Sequence[str]
    steps: Callable[[int], Sequence[Any]]


class NetworkEncoder(Encoder):
    """A torch network. `origin` is the part of its identity with family, architecture and weights.

    `network` is the whole model from its library, on the device; `preprocessing` is the library's own.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        dimension: int,
        origin: Mapping[str, Any],
        preprocessing: Preprocessing,
        request: EncoderRequest,
    ) -> None:
        """Raises UsageError for an unknown or unavailable device or precision."""
        self.name, self.dimension, self.image_size = name, dimension, preprocessing.side
        self.device = resolve_device(request.device)
        self.precision = precisions.check_precision(request.precision, self.device)
        self._asked_precision = request.precision
        self._origin = origin
        self.preprocessing = preprocessing
        self._resizing: dict[int, Resizing] = {}
        self.network: Any = network.eval().requires_grad_(False).to(self.device)
        self._towers: dict[str, nn.Module] = {}
        self._building = threading.Lock()
        self._most_faces = sys.maxsize
        on_processor = self.device == "cpu"
        self.at_once = torch.get_num_threads() if on_processor else QUEUED
        self.batch_size = BATCH_ON_PROCESSOR if on_processor else BATCH_ON_GPU
        self._mean = torch.tensor(preprocessing.mean, device=self.device).view(1, 3, 1, 1)
        self._deviation = torch.tensor(preprocessing.deviation, device=self.device).view(1, 3, 1, 1)

    def settle(self, faces: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
        """See `Encoder.settle`. Fewer than two faces cannot be centred: precision is then fp32."""
        if self._asked_precision != "auto" or len(faces) < 2:
            return {}
        batch = np.stack(faces)
        self.precision, trials = precisions.fastest(self.device, lambda precision: self._encode(batch, precision))
        self._towers = {name: tower for name, tower in self._towers.items() if name == self.precision}
        return {"precision": self.precision, "trials": trials}

    def identity(self) -> dict[str, Any]:
        """See `Encoder.identity`."""
        identity = {**self._origin, "preprocessing": self.preprocessing.described, "precision": self.precision}
        plain: dict[str, Any] = json.loads(canonical_json(identity))  # as read back: lists, not tuples
        return plain

    def preprocess(self, pixels: NDArray[np.uint8], side: int | None = None) -> NDArray[np.uint8]:
        """See `Encoder.preprocess`: the library's own transform, as far as pixels have 8 bits."""
        side = side or self.image_size
        if side not in self._resizing:
            self._resizing[side] = on_pixels(self.preprocessing.steps(side))
        return self._resizing[side](pixels)

    def steps(self, side: int) -> Sequence[Any]:
        """The steps of `preprocess`, as objects of torchvision's or the library's own."""
        return steps_on_pixels(self.preprocessing.steps(side))

    def resizes_by_pytorch(self, side: int) -> bool:
        """Whether all steps are computed by PyTorch's kernels, not by Pillow's."""
        return kernels(self.preprocessing.steps(side)) == "pytorch"

    def on_levels(self) -> nn.Module:
        """(B, 3, S, S) float, 0 to 255 -> (B, D): `encode_images` in fp32, as one module with the loaded weights."""
        return OnLevels(self._image_network(), self._mean, self._deviation)

    def geometry(self) -> dict[str, Any]:
        """See `Encoder.geometry`."""
        preprocessing = self.identity()["preprocessing"]
        return {name: preprocessing[name] for name in self.preprocessing.geometry}

    def encode_images(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Encoder.encode_images`. If memory runs out, the batch size is halved from then on.

        Raises FercacheError if there is not enough memory for one face.
        """
        most = min(len(faces), self._most_faces)
        try:
            parts = [self._encode(faces[begin : begin + most], self.precision) for begin in range(0, len(faces), most)]
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
        else:
            return np.concatenate(parts)
        if most == 1:
            raise FercacheError(f"{self.name} on {self.device}: not enough memory for one face. {SHORT_OF_MEMORY}")
        self._most_faces = most // 2
        print(f"warning: {self.device} has no memory for {most} faces; encoding {most // 2} at a time", file=sys.stderr)
        return self.encode_images(faces)

    @torch.inference_mode()
    def _encode(self, faces: NDArray[np.uint8], precision: str) -> NDArray[np.float32]:
        pixels = torch.from_numpy(np.ascontiguousarray(faces)).to(self.device).permute(0, 3, 1, 2)
        normalised = pixels.float().div_(255).sub_(self._mean).div_(self._deviation)
        with self._building:  # several threads come at once
            if precision not in self._towers:
                self._towers[precision] = self._checked_tower(precision)
        with precisions.casting(self.device, precision):
            features: Tensor = self._towers[precision](normalised)
        return features.float().cpu().numpy()

    def _checked_tower(self, precision: str) -> nn.Module:
        """`_tower` if its features agree with the network's; else the network, with a warning: slower, not wrong."""
        plain = self._image_network()
        if self.layout == PLAIN:
            return plain
        try:
            tower = self._tower(precision)
            if self._likeness(tower, plain, precision) >= AGREEMENT.get(precision, REDUCED_AGREEMENT):
                return tower
            reason = "features differ"
        except (RuntimeError, TypeError, AttributeError, ValueError) as error:
            if _is_out_of_memory(error):
                raise
            reason = f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
        self.layout = f"{PLAIN} ({reason})"
        print(f"warning: {self.name} in {precision} cannot be laid out for inference ({reason}).", file=sys.stderr)
        return plain

    def _likeness(self, tower: nn.Module, plain: nn.Module, precision: str) -> float:
        """Cosine between both networks' differences of two images' features, which removes what all images share."""
        noise = torch.randn(2, 3, self.image_size, self.image_size, generator=torch.Generator().manual_seed(0))
        with precisions.casting(self.device, precision):
            ours, theirs = (network(noise.to(self.device)).double() for network in (tower, plain))
        return float(torch.cosine_similarity(ours[0] - ours[1], theirs[0] - theirs[1], dim=0).nan_to_num(-1))

    def _tower(self, precision: str) -> nn.Module:
        """(B, 3, S, S) normalised -> (B, D), laid out for `precision` and called in its context."""
        return laid_out(self._image_network(), precisions.DTYPES[precision], self.device)

    @abstractmethod
    def _image_network(self) -> nn.Module:
        """(B, 3, S, S) normalised -> (B, D), as loaded."""


class OnLevels(nn.Module):
    """A network of normalised pixels, on levels of 0 to 255."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, levels: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, D)."""
        features: Tensor = self.network((levels / 255 - self.mean) / self.deviation)
        return features


def square_side(height: int, width: int) -> int:
    """S of the S x S images. Raises UsageError if the network's images are not square."""
    if height != width:
        raise UsageError(f"This model takes images of {height} x {width}; only square ones are supported.")
    return height


def _is_out_of_memory(error: Exception) -> bool:
    """PyTorch has an exception of its own only for a GPU."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def slug(*parts: str) -> str:
    """A folder name: `ViT-B-32`, `openai` -> `vit-b-32--openai`."""
    return "--".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts)
