"""Small videos, encoded here: frames of one grey, which says when they are, with a bright corner."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

RATE, SIZE = 25, (96, 64)
STEP = 4
"""Grey levels between a frame and the next."""


def grey_frames(count: int, size: tuple[int, int] = SIZE) -> Iterable[NDArray[np.uint8]]:
    for number in range(count):
        pixels = np.full((size[1], size[0], 3), STEP * number % 200, np.uint8)
        pixels[: size[1] // 4, : size[0] // 4] = 255
        yield pixels


def write_clip(path: Path, frames: Iterable[NDArray[np.uint8]], codec: str = "libx264", **more: Any) -> Path:
    """A video of `frames`, all of one size.

    `more`: `rate`, `degrees` counterclockwise, `shape` of a pixel, `times` in 1 / rate seconds.
    """
    rate: int = more.get("rate", RATE)
    times: Callable[[int], int] = more.get("times", int)
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream: Any = None
        for number, pixels in enumerate(frames):
            if stream is None:
                stream = container.add_stream(codec, rate=rate)
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.options = {"preset": "ultrafast"} if codec == "libx264" else {}
                stream.codec_context.sample_aspect_ratio = more.get("shape", Fraction(1))
                if "degrees" in more:
                    stream.set_display_rotation(more["degrees"])
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = times(number)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
