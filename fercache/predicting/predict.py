"""images -> the expressions of their faces, with probabilities."""

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from fercache import registry
from fercache.detectors import INSTALL
from fercache.encoders import PLAIN
from fercache.errors import UsageError
from fercache.layouts.folders import files_below
from fercache.options.predict import PredictRequest, VideoOptions
from fercache.predicting.classifiers import Classifier, of_text, of_trained
from fercache.predicting.clips import CAMERA, of_camera, of_video
from fercache.predicting.predictor import NO_DETECTOR, Predictor, usable_detector
from fercache.predicting.results import PredictedImage
from fercache.predicting.thresholds import check_asked, chosen_threshold
from fercache.runtime.progress import progress
from fercache.settings import Settings
from fercache.videos import is_video
from fercache.videos.camera import Camera

FEW = 32
"""Below this number of images, optimising the network's memory layout costs more time than it saves."""


class Predictions:
    """The predictions of the files `paths`, or of a camera, computed on iteration, in their order.

    An image has one result. A video or camera has a PredictedFrame for each frame.
    """

    def __init__(
        self, predictor: Predictor, paths: Sequence[Path], options: VideoOptions, camera: Camera | None = None
    ) -> None:
        self.predictor, self.paths, self.camera, self._options = predictor, paths, camera, options

    @property
    def names(self) -> tuple[str, ...]:
        """The possible expressions."""
        return self.predictor.names

    @property
    def videos(self) -> bool:
        """Whether there may be frames of videos or of a camera."""
        return self.camera is not None or any(map(is_video, self.paths))

    def __iter__(self) -> Iterator[PredictedImage]:
        return (image for _, image in self.with_paths())

    def with_paths(self) -> Iterator[tuple[Path, PredictedImage]]:
        """Each result with its file; that of the camera is CAMERA."""
        if self.camera:
            yield from ((CAMERA, frame) for frame in of_camera(self.predictor, self.camera, self._options))
        for are_videos, group in groupby(self.paths, is_video):
            paths = list(group)
            if are_videos:
                yield from ((path, frame) for path in paths for frame in of_video(self.predictor, path, self._options))
            else:
                yield from zip(paths, self._of_images(paths), strict=True)
        if declined := self.predictor.classifier.declined:
            print(f"note: the run was not adapted to the last faces: {declined}", file=sys.stderr)

    def _of_images(self, paths: Sequence[Path]) -> Iterator[PredictedImage]:
        with progress("predict", len(paths), "image") as bar:
            for image in self.predictor.stream(paths):
                bar.update()
                yield image


def predict(settings: Settings, request: PredictRequest) -> Predictions:
    """A prediction per image, in order.

    Raises UsageError when a path does not exist or holds no file, for an unknown model or detector, for a risk that
    no threshold reaches, and for videos without a detector; FercacheError if there is no camera.
    """
    webcam = request.videos.webcam
    if bool(request.paths) == webcam:
        raise UsageError("Name images, videos or folders, or take the camera with --webcam: one or the other.")
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
    check_asked(request.unknown_below, request.abstain_at, trained=bool(request.run))
    detector, missing = usable_detector(request.faces)
    classifier = _classifier(settings, request)
    if len(paths) < FEW:
        classifier.encoder.layout = PLAIN
    threshold = chosen_threshold(request.unknown_below, request.abstain_at, classifier=classifier, settings=settings)
    predictor = Predictor(classifier, detector, threshold=threshold, no_detector=missing, settings=settings)
    predictions = Predictions(predictor, paths, request.videos, Camera(request.videos.camera) if webcam else None)
    if predictions.videos and not predictor.detector and request.faces != NO_DETECTOR:
        raise UsageError(f"Videos need a face detector: {INSTALL}. --faces none takes each frame as one face.")
    return predictions


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
