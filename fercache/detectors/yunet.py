"""YuNet (Wu et al., 2023), through OpenCV; its network is a file of 0.3 MB that the user downloads."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.detectors import Detector
from fercache.detectors._sizes import MOST_PIXELS, scaled, shrunk
from fercache.errors import UsageError
from fercache.identity import file_hash
from fercache.images.alignment import FoundFace

LEAST_SCORE, OVERLAP = 0.6, 0.3


class YuNet(Detector):
    """Five landmarks for each face."""

    modules = ("cv2",)
    takes_file = True

    def __init__(self, file: str = "") -> None:
        import cv2

        super().__init__(file)
        if not Path(file).is_file():
            raise UsageError(f"yunet:{file}: there is no such file. Name the ONNX file of YuNet.")
        self.sha256 = file_hash(Path(file))
        self._lock = threading.Lock()  # a network holds the size of its image
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it warns of targets that it ignores
        try:
            self._network = cv2.FaceDetectorYN.create(file, "", (320, 320), LEAST_SCORE, OVERLAP)
        except cv2.error:
            raise UsageError(f"yunet:{file}: OpenCV cannot read this network. Name the ONNX file of YuNet.") from None
        finally:
            cv2.utils.logging.setLogLevel(level)

    def identity(self) -> Mapping[str, Any]:
        """See `Detector.identity`."""
        search = {"least_score": LEAST_SCORE, "overlap": OVERLAP, "most_pixels": MOST_PIXELS}
        return {"name": "yunet", "sha256": self.sha256, **search}

    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        """See `Detector.find`."""
        searched, scale = shrunk(image)
        height, width, _ = searched.shape
        with self._lock:
            self._network.setInputSize((width, height))
            found = self._network.detect(np.ascontiguousarray(searched[:, :, ::-1]))[1]
        faces = [scaled(_face(row), scale) for row in (found if found is not None else ()) if np.isfinite(row).all()]
        return sorted(faces, key=lambda face: -face.score)


def _face(row: NDArray[np.float32]) -> FoundFace:
    left, top, width, height, *points, score = map(float, row)
    landmarks = tuple(zip(points[::2], points[1::2], strict=True))
    return FoundFace((left, top, left + width, top + height), score, landmarks)


plugin = YuNet
