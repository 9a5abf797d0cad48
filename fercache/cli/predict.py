"""fercache predict"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from fercache.cli.options import takes
from fercache.options.predict import SCREEN, PredictCommand, PredictOutputs
from fercache.output_paths import shown

if TYPE_CHECKING:
    from fercache.predicting.drawings import Drawings
    from fercache.predicting.predict import Predictions
    from fercache.predicting.prediction_files import PredictionFile
    from fercache.predicting.results import PredictedFace, PredictedImage
    from fercache.predicting.thresholds import Threshold

SHOWN = 3
"""Expressions of a face that a line shows."""


@click.command("predict")
@takes(PredictCommand)
def command(request: PredictCommand) -> None:
    """Predict the expressions of the faces in images and videos.

    PATHS are files, or folders of them. A square image is taken as a crop of a face if it is small or one face fills
    it; in all others, faces are detected. For a video, a line is printed when a face's expression changes.

    The exit code is 1 if no file could be read, and 3 if some could not.
    """
    from fercache.errors import InterruptedWorkError
    from fercache.predicting.drawings import Drawings
    from fercache.settings import load_settings

    files, folder = _files(request.outputs), request.outputs.draw
    drawn = Drawings(folder, request.videos.fps) if folder else None
    try:
        from fercache.predicting.predict import predict

        predictions = predict(load_settings(), request)
        unreadable, total = _answer(predictions, request.outputs, files=files, drawn=drawn)
    except KeyboardInterrupt:
        kept = " ".join(file.left for file in files)
        raise InterruptedWorkError(f"Interrupted. {kept}".rstrip()) from None
    predictor = predictions.predictor
    click.echo(predictor.classifier.training, err=True)
    _end(request.outputs, predictor.threshold)
    _refuse_unreadable(unreadable, total)


def _answer(
    predictions: "Predictions", outputs: PredictOutputs, *, files: Sequence["PredictionFile"], drawn: "Drawings | None"
) -> tuple[int, int]:
    """Writes, draws and prints every prediction; the numbers of unreadable files and of all."""
    from contextlib import ExitStack

    from fercache.predicting.results import PredictedFrame
    from fercache.predicting.window import show

    unreadable = total = 0
    say = _Voice(quiet=outputs.json_file == SCREEN)
    if drawn:
        drawn.keep(predictions.paths)
    with ExitStack() as stack:
        for file in files:
            describe = predictions.predictor.describe
            stack.enter_context(file).begin(predictions.names, describe, videos=predictions.videos)
        for path, image in predictions.with_paths():
            for file in files:
                file.write(image)
            if drawn:
                drawn.add(path, image)
            if predictions.camera and isinstance(image, PredictedFrame):
                show(predictions.camera, image)
            say.image(image)
            unreadable += bool(image.unreadable)
            total += not isinstance(image, PredictedFrame) or image.last
    return unreadable, total


def _files(outputs: PredictOutputs) -> list["PredictionFile"]:
    """Raises UsageError for files that cannot be written."""
    from fercache.predicting.prediction_files import Csv, Json, PredictionFile

    asked = ((outputs.csv, Csv()), (outputs.json_file, Json()))
    return [PredictionFile(path, format) for path, format in asked if path]


class _Voice:
    """Prints what is seen: of an image every face, of a video what changes."""

    def __init__(self, *, quiet: bool) -> None:
        """If `quiet`, only warnings, on standard error."""
        from fercache.predicting.changes import Changes

        self._quiet, self._changes = quiet, Changes()

    def image(self, image: "PredictedImage") -> None:
        if image.warning and image.faces:
            click.echo(f"warning: {image.name} {image.warning}", err=True)
        for line in () if self._quiet else self._lines(image):
            click.echo(line)

    def _lines(self, image: "PredictedImage") -> Iterator[str]:
        from fercache.predicting.changes import Changes
        from fercache.predicting.results import PredictedFrame, clock

        if not isinstance(image, PredictedFrame):
            yield from _lines(image)
            return
        found = self._changes.update(image) + (self._changes.rest() if image.last else [])
        for change in found:
            yield f"{image.name} {clock(change.time)} track {change.face.track}: {_best(change.face)}"
        if image.last:
            yield f"{image.name}: {self._changes.tracks} tracks in {self._changes.frames:,} frames"
            self._changes = Changes()


def _lines(image: "PredictedImage") -> Iterator[str]:
    if not image.faces:
        yield f"{image.name}: {f'unreadable, {image.unreadable}' if image.unreadable else image.warning}"
    for number, face in enumerate(image.faces):
        if face.box is None:
            yield f"{image.name}: {_best(face)}"
        else:
            left, top, right, bottom = map(round, face.box)
            yield f"{image.name}#{number} at {left},{top} to {right},{bottom}: {_best(face)}"


def _best(face: "PredictedFace") -> str:
    best = "  ".join(f"{name} {share:.0%}" for name, share in list(face.probabilities.items())[:SHOWN])
    return best if face.expression in face.probabilities else f"{face.expression} ({best})"


def _end(outputs: PredictOutputs, threshold: "Threshold") -> None:
    quiet = outputs.json_file == SCREEN
    for what, path in (("all probabilities", outputs.csv), ("all results", outputs.json_file), ("drawn", outputs.draw)):
        if path and path != SCREEN:
            click.echo(f"{what}: {shown(path)}", err=quiet)
    if threshold.reason:
        click.echo(f"unknown below {threshold.probability:.3f}, {threshold.reason}", err=quiet)


def _refuse_unreadable(unreadable: int, total: int) -> None:
    from fercache.errors import FercacheError, PartlyReadError

    if unreadable and unreadable == total:
        raise FercacheError(f"None of {total:,} files could be read." if total > 1 else "The file could not be read.")
    if unreadable:
        raise PartlyReadError(f"{unreadable:,} of {total:,} files could not be read.")
