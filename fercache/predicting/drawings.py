"""What `--draw` writes: annotated images; of a video, a plot per track, and the frames in which one changes."""

from array import array
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from fercache.images.colours import Unreadable
from fercache.predicting.annotation import Annotations, annotated, colour_of
from fercache.predicting.changes import Change, Changes
from fercache.predicting.results import PredictedFace, PredictedFrame, PredictedImage, clock
from fercache.store.atomic import write_bytes
from fercache.videos.frames import Video

LEAST_SECONDS, MOST_PLOTS, MOST_FRAMES = 1.0, 50, 100
"""Plots are of tracks of at least so many seconds, the longest ones; frames are the first ones that show a change."""
BLANK = 1.5
"""Intervals between frames after which a face was out of sight."""


@dataclass
class _Track:
    """The probabilities of a track: those of a frame after those of the one before, in the order of `names`."""

    face: PredictedFace
    names: tuple[str, ...]
    times: "array[float]" = field(default_factory=lambda: array("d"))
    shares: "array[float]" = field(default_factory=lambda: array("f"))

    @property
    def seconds(self) -> float:
        return self.times[-1] - self.times[0]


class _Clip:
    """What is kept of a video until its end."""

    def __init__(self) -> None:
        self.tracks: dict[int, _Track] = {}
        self.changes: list[Change] = []
        self._following = Changes()

    def add(self, frame: PredictedFrame) -> None:
        for face in frame.faces:
            track = self.tracks.setdefault(face.track or 0, _Track(face, tuple(sorted(face.probabilities))))
            track.times.append(frame.time)
            track.shares.extend(face.probabilities[name] for name in track.names)
        self.changes += self._following.update(frame) + (self._following.rest() if frame.last else [])


class Drawings:
    """Images and videos in a folder. See `Annotations` for names."""

    def __init__(self, folder: Path, rate: float) -> None:
        """`rate` is the number of frames per second. Raises UsageError if nothing can be written to `folder`."""
        self._annotations, self._rate = Annotations(folder), rate
        self._clip = _Clip()

    def keep(self, inputs: Iterable[Path]) -> None:
        """Adds files that must not be overwritten."""
        self._annotations.keep(inputs)

    def add(self, path: Path, image: PredictedImage) -> None:
        """Draws the image at `path`, or, after its last frame, the video."""
        if not isinstance(image, PredictedFrame):
            self._annotations.add(path, image)
            return
        self._clip.add(image)
        if image.last:
            self._draw_plots(path)
            self._draw_changes(path)
            self._clip = _Clip()

    def _draw_plots(self, path: Path) -> None:
        from fercache.reporting.timeline_figure import timeline_figure

        lasting = [pair for pair in self._clip.tracks.items() if pair[1].seconds >= LEAST_SECONDS]
        for number, track in sorted(lasting, key=lambda pair: -pair[1].seconds)[:MOST_PLOTS]:
            colours = {name: colour_of(replace(track.face, expression=name)) for name in track.names}
            shares = np.reshape(np.asarray(track.shares), (-1, len(track.names)))
            title = f"{path.name}, track {number}"
            plot = timeline_figure(track.times, shares, colours, title=title, gap=BLANK / self._rate)
            write_bytes(self._annotations.folder / f"{path.stem}.track-{number}.png", plot.png)

    def _draw_changes(self, path: Path) -> None:
        """The file is read once more: keeping frames would take memory."""
        by_time: dict[float, list[PredictedFace]] = defaultdict(list)
        for change in sorted(self._clip.changes, key=lambda change: change.time):
            by_time[change.time].append(change.face)
        wanted = dict(list(by_time.items())[:MOST_FRAMES])
        with suppress(Unreadable):
            for frame in Video(path).frames(self._rate):
                if frame.time in wanted:
                    stem = f"{path.stem}.{clock(frame.time).replace(':', 'm')}s"
                    self._annotations.write(stem, annotated(frame.pixels, wanted.pop(frame.time)))
                if not wanted:
                    return
