"""A CLIP model as an encoder: preprocessing, precision, features of images and of texts."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip.constants import IMAGENET_MEAN, IMAGENET_STD
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import Tensor
from torchvision.transforms import Compose

from fercache.devices import resolve_device
from fercache.encoders import PRECISIONS, EncoderRequest, TextEncoder
from fercache.errors import UsageError, nearest
from fercache.identity import canonical_json

PRESETS = ("clip", "imagenet-224")
REDUCED = {"bf16": torch.bfloat16, "fp16": torch.float16}
TRIAL_FACES = 32
LEAST_COSINE, LEAST_MEAN_COSINE = 0.995, 0.999
# A lower precision has to be clearly faster: precision is part of a table's key, and close races would end differently
# from day to day.
WORTHWHILE = 1.2
TEXT_BATCH = 256

Tokenizer = Callable[[list[str]], Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A model with its weights in place, and where everything about it comes from.

    `origin` is the part of the identity that says so: architecture, sha256 of the weights, activation.
    """

    name: str
    model: Any
    tokenizer: Tokenizer
    preprocessing: PreprocessCfg
    dimension: int
    origin: dict[str, Any]


class ClipEncoder(TextEncoder):
    """Raw features after the projection, from any model that has open_clip's two `encode_` methods."""

    def __init__(self, checkpoint: Checkpoint, request: EncoderRequest) -> None:
        """Raises UsageError for a preprocessing, device or precision that is unknown or cannot be had."""
        self.name, self.dimension = checkpoint.name, checkpoint.dimension
        self.device = resolve_device(request.device)
        self.precision = check_precision(request.precision, self.device)
        self._asked_precision = request.precision
        self._preset = request.preprocessing
        self._preprocessing = preprocessing_named(request.preprocessing, checkpoint.preprocessing, checkpoint.name)
        self.image_size = image_side(self._preprocessing)
        self._geometry = geometry(self._preprocessing)
        self._origin = checkpoint.origin
        self._tokenizer = checkpoint.tokenizer
        self._model = checkpoint.model.eval().requires_grad_(False).to(self.device)
        self._mean = torch.tensor(self._preprocessing.mean, device=self.device).view(1, 3, 1, 1)
        self._std = torch.tensor(self._preprocessing.std, device=self.device).view(1, 3, 1, 1)
        self.logit_scale = float(self._model.logit_scale.exp())

    def settle(self, faces: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
        """See `Encoder.settle`. Fewer than two faces cannot be centred: they leave fp32."""
        if self._asked_precision != "auto" or len(faces) < 2:
            return {}
        batch = np.stack(faces[:TRIAL_FACES])
        reference, seconds = self._trial(batch, "fp32")
        trials = {"fp32": {"faces_per_second": round(len(batch) / seconds, 1)}}
        fastest = seconds / WORTHWHILE
        for precision in reduced_precisions(self.device):
            features, seconds = self._trial(batch, precision)
            cosine = centred_cosine(features, reference)
            trials[precision] = {
                "faces_per_second": round(len(batch) / seconds, 1),
                "cosine_least": round(float(cosine.min()), 6),
                "cosine_mean": round(float(cosine.mean()), 6),
            }
            if agree(cosine) and seconds < fastest:
                self.precision, fastest = precision, seconds
        return {"precision": self.precision, "trials": trials}

    def _trial(self, batch: NDArray[np.uint8], precision: str) -> tuple[NDArray[np.float32], float]:
        """Features, and the seconds of the better of two runs after a first one that warms up."""
        features = self._encode(batch, precision)
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            self._encode(batch, precision)
            seconds.append(time.perf_counter() - start)
        return features, min(seconds)

    def identity(self) -> dict[str, Any]:
        """See `Encoder.identity`."""
        preprocessing = {"preset": self._preset, **asdict(self._preprocessing), "size": self.image_size}
        identity = {**self._origin, "preprocessing": preprocessing, "precision": self.precision}
        plain: dict[str, Any] = json.loads(canonical_json(identity))  # as it is read back, lists for tuples
        return plain

    def text_identity(self) -> dict[str, Any]:
        """See `TextEncoder.text_identity`."""
        return {name: value for name, value in self.identity().items() if name in self._origin}

    def preprocess(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `Encoder.preprocess`: open_clip's own transform up to where it leaves 8-bit pixels."""
        return np.asarray(self._geometry(Image.fromarray(pixels)))

    def encode_images(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Encoder.encode_images`."""
        return self._encode(faces, self.precision)

    @torch.inference_mode()
    def _encode(self, faces: NDArray[np.uint8], precision: str) -> NDArray[np.float32]:
        pixels = torch.from_numpy(np.ascontiguousarray(faces)).to(self.device).permute(0, 3, 1, 2)
        normalised = (pixels.float() / 255 - self._mean) / self._std
        with self._casting(precision):
            features = self._image_features(normalised, precision)
        return features.float().cpu().numpy()

    def _image_features(self, pixels: Tensor, precision: str) -> Tensor:
        """(B, 3, S, S) normalised -> (B, D); a family that knows a faster way to the same numbers overrides it."""
        features: Tensor = self._model.encode_image(pixels)
        return features

    def _casting(self, precision: str) -> AbstractContextManager[object]:
        if precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.partition(":")[0], REDUCED[precision])

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `TextEncoder.encode_texts`."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        tokens = self._tokenizer(list(texts)).to(self.device)
        embedded = [self._model.encode_text(batch).float().cpu() for batch in tokens.split(TEXT_BATCH)]
        return torch.cat(embedded).numpy()


def centred_cosine(features: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) cosines between rows, both (N, D) centred by the mean of `reference`.

    CLIP's features share a large common part, which would make any two of them look alike.
    """
    ours, theirs = features - reference.mean(axis=0), reference - reference.mean(axis=0)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosine: NDArray[np.float32] = (ours * theirs).sum(axis=1) / np.maximum(lengths, np.float32(1e-12))
    return cosine


def agree(cosine: NDArray[np.float32]) -> bool:
    """Whether features are as good as fp32's; False where they are not numbers."""
    return bool(cosine.min() >= LEAST_COSINE and cosine.mean() >= LEAST_MEAN_COSINE)


def reduced_precisions(device: str) -> tuple[str, ...]:
    """The precisions below fp32 that the device has natively."""
    kind = device.partition(":")[0]
    if kind == "cuda":
        return ("bf16", "fp16") if torch.cuda.is_bf16_supported(including_emulation=False) else ("fp16",)
    if kind == "mps":
        return ("fp16",)
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return ("bf16",) if any(probe is not None and probe() for probe in probes) else ()


def check_precision(asked: str, device: str) -> str:
    """The precision to start with. Raises UsageError for one that is unknown or that the device only emulates."""
    if asked == "auto":
        return "fp32"
    if asked not in PRECISIONS:
        raise UsageError(f"'{asked}' is not a precision. {nearest(asked, ('auto', *PRECISIONS))}")
    if asked != "fp32" and asked not in reduced_precisions(device):
        raise UsageError(f"--precision {asked}: {device} does not have it natively here. Use --precision auto or fp32.")
    return asked


def preprocessing_named(preset: str, own: PreprocessCfg, name: str) -> PreprocessCfg:
    """`clip`: the model's `own`; `imagenet-224`: CAFE's, 224 x 224 without a crop, ImageNet's mean and deviation.

    Raises UsageError for another name, and for imagenet-224 with a model of another size.
    """
    if preset not in PRESETS:
        raise UsageError(f"'{preset}' is not a preprocessing preset. {nearest(preset, PRESETS)}")
    if preset == "clip":
        return own
    if image_side(own) != 224:
        raise UsageError(f"--preprocessing imagenet-224 needs an encoder of 224 pixels; {name} has {image_side(own)}.")
    return PreprocessCfg(size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD, interpolation="bilinear", resize_mode="squash")


def image_side(preprocessing: PreprocessCfg) -> int:
    """S of the S x S pictures. Raises UsageError for a model whose pictures are not square."""
    size = preprocessing.size
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise UsageError(f"This model takes pictures of {height} x {width}; only square ones are supported.")
    return int(height)


def geometry(preprocessing: PreprocessCfg) -> Compose:
    """The steps of open_clip's evaluation transform that come before the picture becomes a tensor."""
    steps = image_transform_v2(preprocessing, is_train=False).transforms
    names = [type(step).__name__ for step in steps]
    until = next(place for place, name in enumerate(names) if name.endswith("ToTensor"))
    return Compose(steps[:until])
