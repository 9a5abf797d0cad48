"""The frames of a video or camera -> a result per frame: faces with tracks and smoothed probabilities."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from fercache.extraction.threads import in_threads
from fercache.images.alignment import FoundFace
from fercache.images.colours import Unreadable
from fercache.options.predict import VideoOptions
from fercache.output_paths import shown
from fercache.predicting.predictor import Pixels, Predictor
from fercache.predicting.results import PredictedFrame, PredictedImage
from fercache.predicting.smoothing import smoothed
from fercache.runtime.progress import progress
from fercache.videos.appearance import look_of
from fercache.videos.camera import Camera
from fercache.videos.frames import Frame, Video
from fercache.videos.tracks import GAP, Tracker

AHEAD = 4
"""Frames of a video in which faces are searched while earlier ones are labelled."""
CAMERA = Path("camera")
"""Stands for the file of frames that come from a camera."""


def of_video(predictor: Predictor, path: Path, options: VideoOptions) -> Iterator[PredictedImage]:
    """A PredictedFrame for each of `fps` frames per second, or one PredictedImage that says why it is unreadable.

    What is damaged or missing is the warning of the last frame.
    """
    rate, smooth = options.fps, options.smooth
    last: PredictedFrame | None = None
    try:
        video = Video(path)
        with progress(path.name, max(1, round(video.seconds * rate)), "frame") as bar:
            frames = of_frames(predictor, video.frames(rate), name=shown(path), rate=rate)
            for frame in smoothed(frames, smooth, smooth, unknown_below=predictor.threshold.probability):
                bar.update()
                if last:
                    yield last
                last = frame
        if last:
            yield replace(last, warning=video.warning, last=True)
    except Unreadable as error:
        yield PredictedImage(shown(path), unreadable=str(error))


def of_camera(predictor: Predictor, camera: Camera, options: VideoOptions) -> Iterator[PredictedFrame]:
    """A PredictedFrame for each of at most `fps` frames per second, as they come; smoothed over the time before."""
    with camera:
        frames = of_frames(predictor, camera.frames(options.fps), name=CAMERA.name, rate=options.fps, ahead=1)
        yield from smoothed(frames, options.smooth, 0.0, unknown_below=predictor.threshold.probability)


def of_frames(
    predictor: Predictor, frames: Iterable[Frame], *, name: str, rate: float, ahead: int = AHEAD
) -> Iterator[PredictedFrame]:
    """The faces of each frame with their tracks, not smoothed; `ahead` frames are in memory.

    Without a detector, a frame is a crop of one face.
    """
    tracker = Tracker(max(GAP, 1.5 / rate))

    def found(frame: Frame) -> list[FoundFace]:
        return predictor.find(frame.pixels) if predictor.detector else [_whole(frame.pixels)]

    for frame, faces in in_threads(frames, found, per_task=1, ahead=ahead):
        boxes = [face.box for face in faces]
        tracks = tracker.link(frame.time, boxes, [look_of(frame.pixels, box) for box in boxes])
        labelled = zip(predictor.label(frame.pixels, faces), tracks, strict=True)
        height, width, _ = frame.pixels.shape
        tracked = tuple(replace(face, track=track) for face, track in labelled)
        yield PredictedFrame(name, width, height, tracked, time=frame.time)


def _whole(pixels: Pixels) -> FoundFace:
    height, width, _ = pixels.shape
    return FoundFace((0.0, 0.0, float(width), float(height)))
