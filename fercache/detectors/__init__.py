"""The detector contract. Every other file in this folder is one detector.

On the command line a detector is `NAME`, or `NAME:FILE` if it reads its network from a file: `mtcnn`,
`yunet:face_detection_yunet_2023mar.onnx`.
"""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fercache import registry
from fercache.errors import UsageError
from fercache.images.alignment import FoundFace

INSTALL = "pip install 'fercache[faces]'"
AUTO = "auto"
DEFAULT = "mtcnn"


class Detector(ABC):
    """Finds faces in images. One object may be used by several threads at a time.

    `modules` are those that it imports, which `fercache[faces]` installs.
    """

    modules: ClassVar[tuple[str, ...]] = ()
    takes_file: ClassVar[bool] = False

    def __init__(self, file: str = "") -> None:
        """Raises UsageError for a file that is missing, or is not this detector's network."""
        self.file = file

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """What determines its faces, as JSON: its network and thresholds."""

    @abstractmethod
    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        """The faces in an (H, W, 3) uint8 RGB image of any size, the highest score first."""

    @classmethod
    def installed(cls) -> bool:
        """Whether the modules that it imports are installed."""
        return all(importlib.util.find_spec(module) for module in cls.modules)


def detector_name(name: str) -> str:
    """The name of the detector of `NAME`, `NAME:FILE` or AUTO."""
    return (DEFAULT if name == AUTO else name).partition(":")[0]


def load_detector(name: str = AUTO) -> Detector:
    """The detector of `NAME` or `NAME:FILE`; AUTO is the DEFAULT.

    Raises UsageError for an unknown one, one that is not installed, and one whose file is missing or superfluous.
    """
    name = DEFAULT if name == AUTO else name
    plugin, _, file = name.partition(":")
    family: type[Detector] = registry.load("detectors", plugin)
    if not family.installed():
        raise UsageError(f"The detector {plugin} is not installed: {INSTALL}")
    if family.takes_file and not file:
        raise UsageError(f"The detector {plugin} reads its network from a file: write {plugin}:FILE.")
    if file and not family.takes_file:
        raise UsageError(f"The detector {plugin} takes no file: write {plugin}, not {name}.")
    return family(file)
