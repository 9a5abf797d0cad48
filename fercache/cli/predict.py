"""fercache predict"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fercache.cli.options import takes
from fercache.options.predict import PredictCommand, PredictOutputs
from fercache.output_paths import shown

if TYPE_CHECKING:
    from fercache.serving.prediction_files import PredictionFile
    from fercache.serving.results import PredictedFace, PredictedImage

SHOWN = 3
"""Expressions of a face that a line shows."""


@click.command("predict")
@takes(PredictCommand)
def command(request: PredictCommand) -> None:
    """Predict the expressions of the faces in images.

    PATHS are image files, or folders of them. A square image is taken as a crop of a face if it is small or one face
    fills it; in all others, faces are detected.

    The exit code is 1 if no image could be read, and 3 if some could not.
    """
    from contextlib import ExitStack

    from fercache.errors import InterruptedWorkError
    from fercache.serving.annotation import Annotations
    from fercache.settings import load_settings

    files, folder = _files(request.outputs), request.outputs.draw
    drawn = Annotations(folder) if folder else None
    unreadable = total = 0
    try:
        from fercache.serving.predict import predict

        predictions = predict(load_settings(), request)
        if drawn:
            drawn.keep(predictions.paths)
        with ExitStack() as stack:
            for file in files:
                stack.enter_context(file).begin(predictions.names, predictions.predictor.describe())
            for path, image in zip(predictions.paths, predictions, strict=True):
                for file in files:
                    file.write(image)
                if drawn:
                    drawn.add(path, image)
                _say(image, quiet=request.outputs.json_file == Path("-"))
                total, unreadable = total + 1, unreadable + bool(image.unreadable)
    except KeyboardInterrupt:
        kept = " ".join(file.left for file in files)
        raise InterruptedWorkError(f"Interrupted. {kept}".rstrip()) from None
    reason = predictions.predictor.threshold.reason
    _end(
        request.outputs, f"unknown below {predictions.predictor.threshold.probability:.3f}, {reason}" if reason else ""
    )
    _refuse_unreadable(unreadable, total)


def _files(outputs: PredictOutputs) -> list["PredictionFile"]:
    """Raises UsageError for files that cannot be written."""
    from fercache.serving.prediction_files import Csv, Json, PredictionFile

    asked = ((outputs.csv, Csv()), (outputs.json_file, Json()))
    return [PredictionFile(path, format) for path, format in asked if path]


def _say(image: "PredictedImage", *, quiet: bool) -> None:
    if image.warning and image.faces:
        click.echo(f"warning: {image.name} {image.warning}", err=True)
    if not quiet:
        for line in _lines(image):
            click.echo(line)


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


def _end(outputs: PredictOutputs, threshold: str) -> None:
    quiet = outputs.json_file == Path("-")
    for what, path in (("all probabilities", outputs.csv), ("all results", outputs.json_file), ("drawn", outputs.draw)):
        if path and not (quiet and path == outputs.json_file):
            click.echo(f"{what}: {shown(path)}", err=quiet)
    if threshold:
        click.echo(threshold, err=quiet)


def _refuse_unreadable(unreadable: int, total: int) -> None:
    from fercache.errors import FercacheError, PartlyReadError

    if unreadable == total:
        raise FercacheError(f"None of {total:,} images could be read." if total > 1 else "The image could not be read.")
    if unreadable:
        raise PartlyReadError(f"{unreadable:,} of {total:,} images could not be read.")
