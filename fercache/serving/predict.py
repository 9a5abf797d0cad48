"""images -> the expressions of their faces, with probabilities."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from fercache import registry
from fercache.encoders import PLAIN
from fercache.errors import UsageError
from fercache.layouts.folders import files_below
from fercache.options.predict import PredictRequest
from fercache.runtime.progress import progress
from fercache.serving.classifiers import Classifier, of_text, of_trained
from fercache.serving.predictor import Predictor, build_predictor
from fercache.serving.results import PredictedImage
from fercache.serving.thresholds import chosen_threshold
from fercache.settings import Settings

FEW = 32
"""Below this number of images, optimising the network's memory layout costs more time than it saves."""


class Predictions:
    """The predictions of the files `paths`, computed on iteration, in their order."""

    def __init__(self, predictor: Predictor, paths: Sequence[Path]) -> None:
        self.predictor, self.paths = predictor, paths

    @property
    def names(self) -> tuple[str, ...]:
        """The possible expressions."""
        return self.predictor.names

    def __iter__(self) -> Iterator[PredictedImage]:
        with progress("predict", len(self.paths), "image") as bar:
            for image in self.predictor.stream(self.paths):
                bar.update()
                yield image
        if declined := self.predictor.classifier.declined:
            print(f"not adapted at the end: {declined}", file=sys.stderr)


def predict(settings: Settings, request: PredictRequest) -> Predictions:
    """A prediction per image, in order.

    Raises UsageError when a path does not exist or holds no file, for an unknown model or detector, and for a risk that
    no threshold reaches.
    """
    if request.run and (request.prompts or request.sentences):
        raise UsageError("--run uses a trained head; --prompts and --sentence use text: give one or the other.")
    if request.adapt:
        registry.adaptation(request.adapt)
        if not request.run:
            raise UsageError("--adapt needs a trained head: name a run with --run.")
        if request.abstain_at is not None:
            raise UsageError(
                "--abstain-at chooses a threshold for the head as trained; --adapt changes it: leave out one."
            )
    paths = [file for path in request.paths for file in files_of(path)]
    classifier = _classifier(settings, request)
    if len(paths) < FEW:
        classifier.encoder.layout = PLAIN
    threshold = chosen_threshold(request.unknown_below, request.abstain_at, classifier=classifier, settings=settings)
    return Predictions(build_predictor(classifier, request.faces, settings=settings, threshold=threshold), paths)


def _classifier(settings: Settings, request: PredictRequest) -> Classifier:
    if request.run:
        return of_trained(settings, request.run, request.encoder.device, adapt=request.adapt)
    return of_text(request.encoder, request.prompts, request.sentences)


def files_of(path: Path) -> list[Path]:
    """A file itself, or all files of a folder. What is no image is reported as unreadable, not skipped.

    Raises UsageError if nothing is there.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist.")
    if not path.is_dir():
        return [path]
    found = files_below(path)
    if not found:
        raise UsageError(f"{path} holds no files.")
    return found
