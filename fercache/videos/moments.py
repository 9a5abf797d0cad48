"""What is seen in a frame: faces with the number of their track and their probabilities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fercache.images.alignment import FoundFace


@dataclass(frozen=True, slots=True)
class Sighting:
    """A face in a frame: `track` is the same number for the same face over time, `shares` (L,) sum to 1."""

    track: int
    face: FoundFace
    shares: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Moment:
    """The faces in a frame, `time` seconds after the first frame."""

    time: float
    sightings: tuple[Sighting, ...] = ()
