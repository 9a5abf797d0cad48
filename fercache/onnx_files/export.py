"""A model -> a folder with ONNX files, a card and instructions."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from fercache.errors import FercacheError, UsageError
from fercache.images.alignment import Alignment
from fercache.loading.model_card import model_card
from fercache.loading.models import ZERO_SHOT
from fercache.onnx_files import graphs, quantised
from fercache.onnx_files.check import Drawn, Floats, by_torch, check, drawn_faces
from fercache.onnx_files.readme import readme
from fercache.options.export import ExportRequest
from fercache.options.extract import EncoderRequest
from fercache.output_paths import check_output_folder, shown
from fercache.predicting.classifiers import Classifier, of_text, of_trained
from fercache.runtime.progress import say_once
from fercache.settings import Settings
from fercache.store.atomic import entries, write_bytes, write_json, write_text

PIXELS, INT8, FEATURES, CARD, README = "pixels.onnx", "pixels.int8.onnx", "features.onnx", "card.json", "README.md"
NEEDED = ("onnx", "onnxruntime")
INSTALL = "pip install 'fercache[export]'"
FP32: Literal["fp32"] = "fp32"

Pairs = Sequence[tuple[NDArray[Any], Floats]]
"""Inputs of a file, and the probabilities that PyTorch gives for them."""


def export(settings: Settings, request: ExportRequest) -> list[tuple[Path, str]]:
    """Writes the files of a model into a folder, compares them with PyTorch, and returns them with what they are.

    Raises UsageError for an unknown model, a folder with other files, and a missing package; FercacheError for a model
    that ONNX cannot express, and if a probability differs by more than `check.TOLERANCE`: that file is removed.
    """
    _check_installed()
    folder = request.out
    _check_folder(folder)
    classifier = _classifier(settings, request.model)
    side = None if graphs.takes_any_side(classifier) else classifier.encoder.image_size
    left_out = _left_out(classifier)
    card = model_card(settings, request.model) | _about(classifier, side, left_out)
    _remove_earlier(folder)
    drawn = list(drawn_faces(side))
    if PIXELS not in left_out:
        seen = [(each.images, by_torch(classifier, each.images)) for each in drawn]
        card["files"][PIXELS] = _written(folder / PIXELS, classifier, graphs.from_pixels, pairs=seen)
    if FEATURES not in left_out:
        encoded = [_of_features(classifier, each) for each in drawn]
        card["files"][FEATURES] = _written(folder / FEATURES, classifier, graphs.from_features, pairs=encoded)
    if request.int8 and PIXELS not in left_out:
        card |= _int8(folder, card["classes"], side)
        card["files"][INT8] = {"bytes": (folder / INT8).stat().st_size}
    write_text(folder / README, readme(card))
    write_json(folder / CARD, card)
    return _listed(folder, card)


def _check_installed() -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"export needs {' and '.join(missing)}, which is not installed: {INSTALL}")


def _check_folder(folder: Path) -> None:
    check_output_folder(folder, "--out")
    names = {path.name for path in entries(folder)}
    if names and CARD not in names:
        raise UsageError(f"--out {shown(folder)} holds other files. Name a new folder, or that of an earlier export.")


def _remove_earlier(folder: Path) -> None:
    for name in (CARD, PIXELS, INT8, FEATURES, README):
        (folder / name).unlink(missing_ok=True)


def _classifier(settings: Settings, model: str) -> Classifier:
    """In fp32, whatever precision was the fastest for extraction."""
    if model == ZERO_SHOT:
        return of_text(EncoderRequest(device="cpu", precision=FP32))
    return of_trained(settings, model, "cpu", precision=FP32)


def _left_out(classifier: Classifier) -> dict[str, str]:
    """Why a file is not written, by name. Raises FercacheError if none can be."""
    reasons = {
        PIXELS: graphs.why_not_from_pixels(classifier),
        FEATURES: graphs.why_not_from_features(classifier),
    }
    left_out = {name: why for name, why in reasons.items() if why}
    if len(left_out) == len(reasons):
        raise FercacheError(f"{classifier.title} cannot be written as ONNX. {' '.join(left_out.values())}")
    for name, why in left_out.items():
        say_once(f"without {name}: {why}")
    return left_out


def _about(classifier: Classifier, side: int | None, left_out: dict[str, str]) -> dict[str, Any]:
    """What the card says about the files; `files` are added as they are written."""
    return {
        "input": {
            "side": side,
            "dimension": classifier.encoder.dimension,
            "colours": "RGB, uint8",
            "alignment": Alignment().identity(),
        },
        "precision": FP32,
        "files": {},
        "left_out": left_out,
    }


def _of_features(classifier: Classifier, drawn: Drawn) -> tuple[NDArray[np.float32], Floats]:
    squares = np.stack([classifier.prepare(image).view for image in drawn.images])
    features = classifier.encoder.encode_images(squares)
    with torch.inference_mode():
        expected = graphs.Shares(classifier)(torch.from_numpy(features))
    return features, expected.numpy()


def _written(
    path: Path, classifier: Classifier, graph: Callable[[Classifier], bytes], *, pairs: Pairs
) -> dict[str, Any]:
    """Writes a file and checks it; a wrong one is removed."""
    data = graph(classifier)
    write_bytes(path, data)
    try:
        largest = check(path, pairs)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    faces = sum(len(given) for given, _ in pairs)
    return {"bytes": len(data), "largest_difference": largest, "checked_faces": faces}


def _int8(folder: Path, classes: list[str], side: int | None) -> dict[str, Any]:
    quantised.quantise(folder / PIXELS, folder / INT8)
    return {"int8": quantised.cost(folder / PIXELS, folder / INT8, classes, side=side)}


def _listed(folder: Path, card: dict[str, Any]) -> list[tuple[Path, str]]:
    found = []
    for name, file in card["files"].items():
        what = f"{file['bytes'] / 1e6:.2g} MB"
        if "largest_difference" in file:
            what += f", differs from PyTorch by {file['largest_difference']:.0e} at most"
        else:
            cost = card["int8"]
            what += f", accuracy {cost['accuracy']:.1%} instead of {cost['accuracy_fp32']:.1%} on synthetic faces"
        found.append((folder / name, what))
    return [*found, (folder / README, "how to use them"), (folder / CARD, "what the model was trained on, and scores")]
