"""The frames of a video or camera -> a result per frame: faces with tracks and smoothed probabilities."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from fercache.extraction.threads import in_threads
from fercache.images.alignment import FoundFace
from fercache.images.colours import Unreadable
from fercache.output_paths import shown
from fercache.runtime.progress import progress
from fercache.serving.predictor import Pixels, Predictor
from fercache.serving.results import PredictedFrame, PredictedImage
from fercache.serving.smoothing import smoothed
from fercache.videos.appearance import look_of
from fercache.videos.frames import FRAMES_PER_SECOND, Frame, Video
from fercache.videos.tracks import GAP, Tracker

SMOOTH = 0.4
"""Seconds before and after a frame over which the probabilities of a track are averaged."""
AHEAD = 4
"""Frames in which faces are searched while earlier ones are labelled."""


def of_video(
    predictor: Predictor, path: Path, rate: float = FRAMES_PER_SECOND, smooth: float = SMOOTH
) -> Iterator[PredictedImage]:
    """A PredictedFrame for each of `rate` frames per second, or one PredictedImage that says why it is unreadable.

    What is damaged or missing is the warning of the last frame.
    """
    name = shown(path)
    try:
        video = Video(path)
        last: PredictedFrame | None = None
        with progress(path.name, int(video.seconds * rate) + 1, "frame") as bar:
            frames = of_frames(predictor, video.frames(rate), name=name, rate=rate)
            for frame in smoothed(frames, smooth, smooth, unknown_below=predictor.threshold.probability):
                bar.update()
                if last:
                    yield last
                last = frame
        if last:
            yield replace(last, warning=video.warning)
    except Unreadable as error:
        yield PredictedImage(name, unreadable=str(error))


def of_frames(predictor: Predictor, frames: Iterable[Frame], *, name: str, rate: float) -> Iterator[PredictedFrame]:
    """The faces of each frame with their tracks, not smoothed. Without a detector, a frame is a crop of one face."""
    tracker = Tracker(max(GAP, 1.5 / rate))

    def found(frame: Frame) -> list[FoundFace]:
        return predictor.find(frame.pixels) if predictor.detector else [_whole(frame.pixels)]

    for frame, faces in in_threads(frames, found, per_task=1, ahead=AHEAD):
        boxes = [face.box for face in faces]
        tracks = tracker.link(frame.time, boxes, [look_of(frame.pixels, box) for box in boxes])
        labelled = zip(predictor.label(frame.pixels, faces), tracks, strict=True)
        height, width, _ = frame.pixels.shape
        yield PredictedFrame(
            name, width, height, tuple(replace(face, track=track) for face, track in labelled), time=frame.time
        )


def _whole(pixels: Pixels) -> FoundFace:
    height, width, _ = pixels.shape
    return FoundFace((0.0, 0.0, float(width), float(height)))
