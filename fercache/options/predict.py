"""Options of `fercache predict`."""

import sys
from pathlib import Path
from typing import Any

from pydantic import model_validator

from fercache.options import Options, option
from fercache.options.extract import EncoderRequest

SCREEN = Path("-")
"""Stands for standard output."""
_RENAMED = "note: --prompts now takes a prompt set; write --sentence for text. The old form will be removed."


class VideoOptions(Options):
    """How videos are read, and the camera instead of files."""

    fps: float = option(5.0, "Frames per second to look at, in videos and from the camera.", gt=0, le=240)
    smooth: float = option(
        0.4,
        "Average a face's probabilities over this many seconds before and after each video frame; from the camera, "
        "before it only.",
        metavar="SECONDS",
        ge=0,
        le=60,
    )
    webcam: bool = option(False, "Use the camera instead of files, and show it with the expressions; Ctrl-C ends.")
    camera: int = option(0, "Number of the camera.", ge=0)


class PredictRequest(Options):
    """Image files, videos and folders. Without a `run`: text similarity, with a prompt set or with `sentences`."""

    paths: tuple[Path, ...] = option((), "Image files, videos and folders.", argument=True)
    run: str | None = option(
        None,
        "Name or key of a run, or a method, such as linear-probe: the mean of its seeds. [default: text similarity, "
        "without training]",
    )
    faces: str = option(
        "auto",
        "Detector that finds the faces in images that are not square face crops, NAME[:FILE], or none.",
        metavar="DETECTOR",
        shown="mtcnn if it is installed",
    )
    unknown_below: float | None = option(
        None, "Answer 'unknown' where the highest probability is lower.", metavar="P", gt=0, lt=1
    )
    abstain_at: float | None = option(
        None,
        "Answer 'unknown' often enough that, on source validation, at most this share of the other answers is wrong.",
        metavar="RISK",
        gt=0,
        lt=1,
    )
    prompts: str | None = option(
        None,
        "Prompt set: faces, ke2nt, or a TOML file. [default: the seven basic expressions of faces]",
        repeatable=True,  # sentences of an earlier version are
    )
    sentences: tuple[str, ...] = option((), "Sentence to choose from; give two or more.", flag="sentence")
    adapt: str | None = option(
        None,
        "Adapt the run to the last 1,024 faces as they come, without labels: NAME or NAME-unguarded, of "
        "`fercache list adaptations`.",
        metavar="NAME",
    )
    videos: VideoOptions = VideoOptions()
    encoder: EncoderRequest = EncoderRequest()

    @model_validator(mode="before")
    @classmethod
    def _read_sentences_of_earlier_versions(cls, given: dict[str, Any]) -> dict[str, Any]:
        prompts = given.get("prompts")
        if not isinstance(prompts, tuple):
            return given
        sentences = tuple(text for text in prompts if " " in text.strip() and not text.endswith(".toml"))
        if sentences:
            print(_RENAMED, file=sys.stderr)
        sets = [text for text in prompts if text not in sentences]
        if len(sets) > 1:
            raise ValueError(f"'{sets[0]}' and '{sets[1]}': give one prompt set, or sentences with --sentence")
        return {**given, "prompts": next(iter(sets), None), "sentences": (*sentences, *given.get("sentences", ()))}


class PredictOutputs(Options):
    """The files that the command writes."""

    csv: Path | None = option(None, "Write a row per face, with box and all probabilities.", metavar="FILE.csv")
    json_file: Path | None = option(
        None,
        "Write everything known about each face and the model; - is standard output.",
        flag="json",
        metavar="FILE.json",
    )
    draw: Path | None = option(None, "Write the images with boxes and labels to this folder.", metavar="DIR")


class PredictCommand(PredictRequest):
    """A request, and where the answers go."""

    outputs: PredictOutputs = PredictOutputs()
