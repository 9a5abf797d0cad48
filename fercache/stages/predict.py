"""face images -> expressions with probabilities."""

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fercache import registry
from fercache.adaptations import Scores
from fercache.datasets import FaceImage
from fercache.encoders import PLAIN, Encoder, TextEncoder, load_encoder
from fercache.errors import FercacheError, UsageError
from fercache.extraction.prepare import Prepared, prepared_faces
from fercache.layouts.folders import files_below, read_plain
from fercache.loading.runs import load_chosen, load_run
from fercache.loading.source_features import SourceMeans
from fercache.loading.tables import find_run, same_encoder
from fercache.options.extract import EncoderRequest
from fercache.options.predict import PredictRequest
from fercache.output_paths import shown
from fercache.prompts import prompts_to_choose_from
from fercache.runtime.progress import progress
from fercache.settings import Settings
from fercache.stages._adapting import Streaming
from fercache.stages.embed_prompts import check_prompts, embed
from fercache.stages.write_predictions import Prediction
from fercache.store.runs import find_runs
from fercache.store.tables import find_tables, read_table
from fercache.trunks import Faces

BATCH = 64
FEW = 32
"""Below this number of faces, optimising the network's memory layout costs more time than it saves."""


class Classifier:
    """An encoder, and a function from its features (and crops of `crop_side`) to calibrated logits of `names`."""

    def __init__(
        self,
        encoder: Encoder,
        names: Sequence[str],
        logits: Callable[[Faces], torch.Tensor],
        device: str = "cpu",
        crop_side: int | None = None,
    ) -> None:
        self.encoder, self.names, self.crop_side = encoder, tuple(names), crop_side
        self._logits, self._device = logits, device

    @property
    def declined(self) -> str:
        """Why the last faces were not adapted to; "" if they were, or no adaptation was requested."""
        return self._logits.declined if isinstance(self._logits, Streaming) else ""

    @torch.inference_mode()
    def probabilities(self, faces: Sequence[Prepared]) -> NDArray[np.float32]:
        """(B, L), rows summing to 1."""
        features = torch.from_numpy(self.encoder.encode_images(np.stack([face.views[0] for face in faces])))
        crops = [face.crop for face in faces if face.crop is not None]
        stacked = torch.from_numpy(np.stack(crops)).to(self._device) if crops else None
        on_device = Faces(features.to(self._device), stacked)
        result: NDArray[np.float32] = self._logits(on_device).float().softmax(dim=1).cpu().numpy()
        return result


class Predictions:
    """The predictions of `total` images, computed on iteration; `names` are the possible answers."""

    def __init__(self, classifier: Classifier, images: Sequence[Path]) -> None:
        self.names, self.total = classifier.names, len(images)
        self._classifier, self._images = classifier, images

    def batches(self) -> Iterator[list[Prediction]]:
        """In the order of the images."""
        faces = [FaceImage(id=shown(path), read=partial(read_plain, str(path))) for path in self._images]
        with progress("predict", len(faces), "face") as bar:
            for batch in _batches(faces, self._classifier):
                yield _predict_batch(batch, self._classifier)
                bar.update(len(batch))
        if self._classifier.declined:
            print(f"not adapted at the end: {self._classifier.declined}", file=sys.stderr)

    def __iter__(self) -> Iterator[Prediction]:
        for batch in self.batches():
            yield from batch


def predict(settings: Settings, request: PredictRequest) -> Predictions:
    """A prediction per image, in order. Raises UsageError when a path does not exist or holds no image."""
    if request.run and (request.prompts or request.sentences):
        raise UsageError("--run uses a trained head; --prompts and --sentence use text: give one or the other.")
    if request.adapt:
        registry.adaptation(request.adapt)
        if not request.run:
            raise UsageError("--adapt needs a trained head: name a run with --run.")
    images = [image for path in request.paths for image in _images(path)]
    classifier = _of_run(settings, request) if request.run else _of_text(request)
    if len(images) < FEW:
        classifier.encoder.layout = PLAIN
    return Predictions(classifier, images)


def _images(path: Path) -> list[Path]:
    """All files of a folder: files that are not images are reported as unreadable, not skipped."""
    if not path.exists():
        raise UsageError(f"{path} does not exist.")
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UsageError(f"{path} is a pipe, socket or device. Name an image file, or a folder of them.")
    found = files_below(path)
    if not found:
        raise UsageError(f"{path} holds no files.")
    return found


def _of_text(request: PredictRequest) -> Classifier:
    encoder = load_encoder(request.encoder)
    if not isinstance(encoder, TextEncoder):
        raise UsageError(f"{encoder.name} cannot encode text; give a trained head with --run.")
    prompts = prompts_to_choose_from(request.prompts, request.sentences)
    embedded = embed(encoder, prompts)
    if request.prompts or request.sentences:
        check_prompts(encoder, prompts, embedded)
    text = torch.from_numpy(np.stack([rows.mean(axis=0) for rows in embedded.values()]))
    directions = torch.nn.functional.normalize(text, dim=1)

    def logits(faces: Faces) -> torch.Tensor:
        return encoder.logit_scale * torch.nn.functional.normalize(faces.features, dim=1) @ directions.T

    return Classifier(encoder, list(prompts), logits)


def _of_run(settings: Settings, request: PredictRequest) -> Classifier:
    loaded = load_run(find_run(find_runs(settings.cache), str(request.run)), request.encoder.device)
    config, snapshot = loaded.config, load_chosen(loaded)
    temperature = loaded.temperature(snapshot) or 1.0
    precision = loaded.config.encoder_identity.get("precision", "auto")
    asked = EncoderRequest.of(loaded.config.encoder_request, device=request.encoder.device, precision=precision)
    encoder = load_encoder(asked)
    if not same_encoder(encoder.key_identity(), loaded.config.encoder_identity):
        raise FercacheError(
            f"{loaded.config.name} was trained on features of {loaded.config.encoder}, whose weights or settings have "
            "changed since. Restore the old weights, or extract and train again."
        )

    def logits(faces: Faces) -> torch.Tensor:
        return loaded.head.logits(faces) / temperature

    scores: Scores = logits
    if request.adapt:
        source = SourceMeans(find_tables(settings.cache), read_table).of(config).to(loaded.device)
        scores = Streaming(request.adapt, source, logits)
    return Classifier(encoder, config.expressions, scores, device=loaded.device, crop_side=config.crop_side)


def _batches(faces: Sequence[FaceImage], classifier: Classifier) -> Iterator[list[tuple[FaceImage, Any]]]:
    batch = []
    for item in prepared_faces(faces, classifier.encoder, crop_side=classifier.crop_side):
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _predict_batch(batch: list[tuple[FaceImage, Any]], classifier: Classifier) -> list[Prediction]:
    readable = [result for _, result in batch if isinstance(result, Prepared)]
    rows = iter(classifier.probabilities(readable) if readable else ())
    predictions = []
    for face, result in batch:
        if not isinstance(result, Prepared):
            predictions.append(Prediction(face.id, unreadable=result.reason))
            continue
        if result.warning:
            print(f"warning: {face.id} {result.warning}", file=sys.stderr)
        pairs = zip(classifier.names, map(float, next(rows)), strict=True)
        predictions.append(Prediction(face.id, dict(sorted(pairs, key=lambda pair: -pair[1]))))
    return predictions
