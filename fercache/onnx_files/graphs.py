"""A classifier -> ONNX: from pixels, and from features."""

import inspect
import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from fercache.encoders import NetworkEncoder
from fercache.errors import FercacheError
from fercache.onnx_files.resizing import Levels, resizing
from fercache.predicting.classifiers import Classifier
from fercache.trunks import Faces

FACES, FEATURES, PROBABILITIES = "faces", "features", "probabilities"
"""The names of inputs and outputs."""
OPSET = 17
"""The operators of onnxruntime 1.14 (2023), which PyTorch writes since 2.0."""
MOST_BYTES = 2**31 - 2**24
"""A file of more than 2 GB would need its weights in others beside it."""

_LOG = "_jit_onnx_log"


class Shares(nn.Module):
    """Features (N, D), and crops (N, C, C, 3) if the head sees pixels -> (N, L) probabilities: a head and its softmax.

    Of several heads, the mean.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.heads = nn.ModuleList([run.head for run in classifier.runs])  # found in the functions, they'd be constants
        self._logits = classifier.logits

    def forward(self, features: Tensor, crops: Tensor | None = None) -> Tensor:
        """See the class."""
        faces = Faces(features, crops)
        return torch.stack([logits(faces).softmax(dim=1) for logits in self._logits]).mean(dim=0)


class FromPixels(nn.Module):
    """(N, S, S, 3) uint8 -> (N, L) probabilities: resizing, encoder, head, temperature and softmax."""

    def __init__(self, encoder: NetworkEncoder, resize: nn.Module, crop: nn.Module | None, shares: Shares) -> None:
        super().__init__()
        self.resize, self.crop = resize, crop
        self.encoder, self.shares = encoder.on_levels(), shares

    def forward(self, faces: Tensor) -> Tensor:
        """See the class."""
        crops = None if self.crop is None else self.crop(faces).permute(0, 2, 3, 1)
        shares: Tensor = self.shares(self.encoder(self.resize(faces)), crops)
        return shares


def takes_any_side(classifier: Classifier) -> bool:
    """Whether the file from pixels can resize as the encoder does; else it takes images of the encoder's own side."""
    encoder = classifier.encoder
    return isinstance(encoder, NetworkEncoder) and resizing(encoder, encoder.image_size) is not None


def why_not_from_pixels(classifier: Classifier) -> str:
    """Why there can be no file from pixels; "" if there can."""
    if not isinstance(classifier.encoder, NetworkEncoder):
        return f"The encoder {classifier.encoder.name} is not a network of PyTorch."
    if classifier.crop_side is not None and not takes_any_side(classifier):
        return f"The resizing of {classifier.encoder.name} is not known here, and the head needs another side."
    return ""


def why_not_from_features(classifier: Classifier) -> str:
    """Why there can be no file from features; "" if there can."""
    return "" if classifier.crop_side is None else "The head sees pixels besides the features."


def from_pixels(classifier: Classifier) -> bytes:
    """The ONNX file (N, S, S, 3) uint8 RGB -> (N, L), for any N; S as `takes_any_side` says."""
    encoder, side = classifier.encoder, classifier.encoder.image_size
    assert isinstance(encoder, NetworkEncoder)
    crop = None if classifier.crop_side is None else resizing(encoder, classifier.crop_side)
    module = FromPixels(encoder, resizing(encoder, side) or Levels(), crop, Shares(classifier))
    varying = {0: "N", 1: "S", 2: "S"} if takes_any_side(classifier) else {0: "N"}
    # Neither side occurs in the network: a size that is a constant by mistake is found by the check.
    given = side + 10 if takes_any_side(classifier) else side
    return _traced(module, torch.zeros(2, given, given, 3, dtype=torch.uint8), {FACES: varying})


def from_features(classifier: Classifier) -> bytes:
    """The ONNX file (N, D) float32, raw as in a feature table -> (N, L), for any N."""
    return _traced(Shares(classifier), torch.randn(2, classifier.encoder.dimension), {FEATURES: {0: "N"}})


def _traced(module: nn.Module, example: Tensor, varying: Mapping[str, Mapping[int, str]]) -> bytes:
    """Raises FercacheError where ONNX lacks an operator, or the file would be too large."""
    size = sum(part.numel() * part.element_size() for part in (*module.parameters(), *module.buffers()))
    if size > MOST_BYTES:
        raise FercacheError(f"The model has {size / 1e9:.1f} GB of weights; an ONNX file holds at most 2.")
    # The older exporter: all versions of PyTorch that fercache runs with have it, and it takes a twentieth of the time.
    older: dict[str, Any] = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    file = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad(), _plain_attention(), _without_dumps():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(),
                (example,),
                cast(Any, file),  # newer annotations name only what the newer exporter takes
                input_names=list(varying),
                output_names=[PROBABILITIES],
                dynamic_axes={**varying, PROBABILITIES: {0: "N"}},
                opset_version=OPSET,
                **older,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).split("Please feel free")[0].split("\n")[0].strip() or type(error).__name__
        raise FercacheError(
            f"This model cannot be written as ONNX: {reason} Export a model of another head."
        ) from error
    return file.getvalue()


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Without PyTorch's fused attention, which ONNX does not have."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def _without_dumps() -> Iterator[None]:
    """The exporter prints the whole graph on standard output before it fails; its own switch for that has no effect."""
    log = getattr(torch._C, _LOG, None)
    try:
        setattr(torch._C, _LOG, lambda *_: None)
        yield
    finally:
        if log is None:
            delattr(torch._C, _LOG)
        else:
            setattr(torch._C, _LOG, log)
