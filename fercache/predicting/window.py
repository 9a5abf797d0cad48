"""A window with what the camera sees."""

import numpy as np

from fercache.predicting.annotation import annotated
from fercache.predicting.results import PredictedFrame
from fercache.runtime.progress import say_once
from fercache.videos.camera import Camera

TITLE = "fercache"
ESCAPE, QUIT = 27, ord("q")


def show(camera: Camera, frame: PredictedFrame) -> None:
    """Shows the camera's latest image with its faces; Escape, q and closing the window stop the camera.

    Prints a note, once, where OpenCV can open no window: `opencv-python-headless` cannot.
    """
    import cv2

    if camera.latest is None:
        return
    drawn = np.asarray(annotated(camera.latest.pixels, frame.faces))
    try:
        cv2.imshow(TITLE, np.ascontiguousarray(drawn[:, :, ::-1]))
        key = cv2.waitKey(1)
        if key in (ESCAPE, QUIT) or cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
            camera.stop()
    except cv2.error:
        say_once("note: this OpenCV cannot open a window, so only lines are printed; Ctrl-C ends.")
