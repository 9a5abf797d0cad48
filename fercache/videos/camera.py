"""The frames of a camera, as they come."""

import importlib.util
import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from fercache.detectors import INSTALL
from fercache.errors import FercacheError, UsageError
from fercache.videos.frames import FRAMES_PER_SECOND, Frame


class Camera:
    """Camera number `number` of this machine, counted from 0. Use it in a `with`."""

    def __init__(self, number: int = 0) -> None:
        """Raises FercacheError if there is no such camera, and UsageError without OpenCV."""
        if not importlib.util.find_spec("cv2"):
            raise UsageError(f"A camera needs OpenCV: {INSTALL}")
        import cv2

        cv2.utils.logging.setLogLevel(0)  # it would print its own messages about an absent camera
        self._capture: Any = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            raise FercacheError(
                f"There is no camera {number}, or this program may not use it. Connect one, allow its use in the "
                "settings of the system, or name another with --camera."
            )

        self.latest: Frame | None = None
        self._stopped = False

    def __enter__(self) -> "Camera":
        """Until the end of the `with`, Ctrl-C stops the frames instead of raising an exception."""
        self._before = signal.signal(signal.SIGINT, lambda *_: self.stop())
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)
        self._capture.release()

    def stop(self) -> None:
        """Ends the frames."""
        self._stopped = True

    def frames(self, rate: float = FRAMES_PER_SECOND) -> Iterator[Frame]:
        """At most `rate` frames per second, until the camera ends or is stopped; `latest` is the one in use.

        Frames that come in between are dropped.
        """
        start, following = time.monotonic(), 0
        while not self._stopped and self._capture.grab():
            passed = time.monotonic() - start
            if passed * rate >= following:
                following = int(passed * rate) + 1
                read, pixels = self._capture.retrieve()
                if read:
                    self.latest = Frame(passed, np.ascontiguousarray(pixels[:, :, ::-1]))
                    yield self.latest
