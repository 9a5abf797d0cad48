"""A video file -> upright RGB frames with their times, one at a time.

Only the demuxers in FORMATS are used: others, such as playlists, could open further files or addresses.
"""

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fercache.detectors import INSTALL
from fercache.errors import UsageError
from fercache.images.colours import Unreadable

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

FRAMES_PER_SECOND = 5.0
FORMATS = "mov,mp4,matroska,webm,avi,asf,flv,mpeg,mpegts,mpegvideo,h264,hevc,ogg,mxf,m4v"
MOST_PIXELS, MOST_THREADS = 36_000_000, 4
"""Pixels of a frame (8K), and threads of a decoder: each keeps frames."""
USUAL_RATE = 25.0
"""Frames per second of a video that states none."""
LONGEST_STEP = 60.0
"""Seconds from a frame to the next; a longer step is a damaged time."""
MOST_SHAPE = 4.0
"""Width by height of a pixel; others are damaged."""
CUT_OFF = 1.0
"""Seconds: a video that ends earlier than its header says by more than this is reported as truncated."""


@dataclass(frozen=True, slots=True)
class Frame:
    """(H, W, 3) uint8 RGB pixels, `time` seconds after the first frame."""

    time: float
    pixels: NDArray[np.uint8]


class Video:
    """An open video file of `seconds` by its header (0 if it states none).

    Iterate over `frames` once; `warning` then says what was damaged or missing.
    """

    def __init__(self, path: Path) -> None:
        """Raises Unreadable with the reason if it is no video, and UsageError without PyAV."""
        if not importlib.util.find_spec("av"):
            raise UsageError(f"{path} is a video, which needs PyAV: {INSTALL}")
        start = _beginning(path)
        self._file = path.open("rb")  # not by name, which could be taken for an address
        try:
            self._container = _opened(self._file, start)
            self._images = _images_of(self._container)
        except Unreadable:
            self._file.close()
            raise
        self.seconds, self.warning = _seconds(self._container, self._images), ""
        self._last, self._damaged = -1.0, 0

    def frames(self, rate: float = FRAMES_PER_SECOND) -> Iterator[Frame]:
        """At most `rate` frames per second, in order: of each interval of 1 / rate seconds, the first frame.

        Damaged frames are left out. Memory does not depend on the length. Raises Unreadable if there is no frame.
        """
        following, shape = 0, float(self._images.sample_aspect_ratio or 1)
        shape = shape if 1 / MOST_SHAPE <= shape <= MOST_SHAPE else 1.0
        with self._file, self._container:
            for time, frame in self._timed():
                interval = int(time * rate + 1e-6)  # times are rounded to the video's clock
                if interval >= following:
                    following = interval + 1
                    yield Frame(time, _upright(frame, shape))
        if self._last < 0:
            raise Unreadable("a video without a frame that can be decoded")
        self.warning = self._what_is_missing()

    def _timed(self) -> Iterator[tuple[float, "VideoFrame"]]:
        """Every frame with its time, which always increases: damaged or absent times follow the frame rate."""
        step, start = 1 / float(self._images.average_rate or USUAL_RATE), None
        for frame in self._decoded():
            start = frame.time if start is None else start
            stated = -1.0 if frame.time is None or start is None else frame.time - start
            is_plausible = self._last < stated < max(self._last, 0) + LONGEST_STEP
            self._last = stated if is_plausible else max(self._last, -step) + step
            yield self._last, frame

    def _decoded(self) -> Iterator["VideoFrame"]:
        import av

        packets = self._container.demux(self._images)
        while True:
            try:
                yield from next(packets).decode()
            except StopIteration:
                return
            except (av.FFmpegError, OSError):
                self._damaged += 1

    def _what_is_missing(self) -> str:
        if self.seconds - self._last > CUT_OFF:
            return f"is truncated: its header states {self.seconds:.1f} s, its last frame is at {self._last:.1f} s"
        return f"is damaged: {self._damaged} of its packets cannot be decoded" if self._damaged else ""


def _opened(file: BinaryIO, start: bytes) -> "InputContainer":
    import av

    try:
        return av.open(file, "r", options={"format_whitelist": FORMATS}, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError):
        raise Unreadable(_what_else(start)) from None


def _beginning(path: Path) -> bytes:
    if not path.is_file():
        raise Unreadable("cannot be read: not a plain file")
    try:
        with path.open("rb") as stream:
            start = stream.read(512)
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}") from None
    if not start:
        raise Unreadable("zero bytes")
    return start


def _what_else(start: bytes) -> str:
    if start.isascii() and b"\0" not in start:
        return "text, not a video"
    if start[4:8] == b"ftyp":
        return "a truncated video: the index, which some files have at their end, is missing"
    return "not a video of a known format, or damaged at its start"


def _images_of(container: "InputContainer") -> "VideoStream":
    """The first stream of images, ready to decode."""
    stream = next(iter(container.streams.video), None)
    if stream is None:
        raise Unreadable("a file without images: it has only sound or data")
    codec: VideoCodecContext | None = stream.codec_context
    if codec is None:
        raise Unreadable("a video of an unknown codec, or damaged")
    if codec.width * codec.height > MOST_PIXELS:
        raise Unreadable(f"{codec.width} x {codec.height} pixels are more than {MOST_PIXELS // 1_000_000} megapixels")
    codec.options = {"max_pixels": str(MOST_PIXELS)}  # the size may change later
    codec.thread_type, codec.thread_count = "AUTO", min(os.cpu_count() or 1, MOST_THREADS)
    return stream


def _seconds(container: "InputContainer", images: "VideoStream") -> float:
    if images.duration and images.time_base:
        return float(images.duration * images.time_base)
    return (container.duration or 0) / 1e6


def _upright(frame: "VideoFrame", shape: float) -> NDArray[np.uint8]:
    """RGB pixels as a player shows them: turned, and square; `shape` is width by height of a stored one."""
    pixels = frame.reformat(width=max(1, round(frame.width * shape)), format="rgb24").to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)), np.uint8)
