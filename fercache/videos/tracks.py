"""Faces in consecutive frames -> tracks: one number for one face.

A face continues the track that it is nearest to, by distance and overlap with where that track is expected, and by
appearance. The assignment of all faces of a frame together is the cheapest one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
Look = NDArray[np.float32]

GAP = 1.0
"""Seconds for which a face may be out of sight and keep its track."""
REACH, SPEED = 1.0, 1.0
"""How far from where it was or is expected a face may be, in sides of its box: at once, and more for each second."""
MOST_GROWTH = 2.0
"""Times by which its side may grow or shrink."""
LEAST_LIKENESS = 0.0
"""Cosine of appearances below which a face is another one, as after a cut."""
_STEADINESS = 0.5
"""The weight of the latest step in a track's velocity."""
_REFUSED = 1e6
_NO_LOOK = np.ones(1, np.float32)


@dataclass
class _Track:
    number: int
    time: float
    place: NDArray[np.float64]  # x and y of the middle, and the side
    look: Look
    velocity: NDArray[np.float64]

    def follow(self, time: float, place: NDArray[np.float64], look: Look) -> None:
        step = (place[:2] - self.place[:2]) / max(time - self.time, 1e-6)
        self.velocity += _STEADINESS * (step - self.velocity)
        self.time, self.place, self.look = time, place, look


class Tracker:
    """Numbers faces from 1, in the order in which they appear. Tracks end `gap` seconds after they were last seen."""

    def __init__(self, gap: float = GAP) -> None:
        self.gap = gap
        self._tracks: list[_Track] = []
        self._count = 0

    def link(self, time: float, boxes: Sequence[Box], looks: Sequence[Look] = ()) -> list[int]:
        """The track of each box in the frame at `time`, which is later than all before; no two have the same.

        Boxes are (left, top, right, bottom). `looks` are unit vectors (D,) of appearance; without them, place decides.
        """
        self._tracks = [track for track in self._tracks if time - track.time <= self.gap]
        places, looks = _places(boxes), looks or [_NO_LOOK] * len(boxes)
        chosen = self._assigned(time, places, looks)
        for face, place in enumerate(places):
            if face in chosen:
                chosen[face].follow(time, place, looks[face])
            else:
                self._count += 1
                chosen[face] = _Track(self._count, time, place, looks[face], velocity=np.zeros(2))
                self._tracks.append(chosen[face])
        return [chosen[face].number for face in range(len(boxes))]

    def _assigned(self, time: float, places: NDArray[np.float64], looks: Sequence[Look]) -> dict[int, _Track]:
        if not self._tracks or not len(places):
            return {}
        from scipy.optimize import linear_sum_assignment

        costs = np.array([_costs(track, time, places=places, looks=looks) for track in self._tracks])
        pairs = zip(*linear_sum_assignment(costs), strict=True)
        return {int(face): self._tracks[track] for track, face in pairs if costs[track, face] < _REFUSED}


def _places(boxes: Sequence[Box]) -> NDArray[np.float64]:
    """(F, 3): x and y of the middle, and the longer side."""
    left, top, right, bottom = np.asarray(boxes, np.float64).reshape(-1, 4).T
    return np.column_stack([(left + right) / 2, (top + bottom) / 2, np.maximum(right - left, bottom - top)])


def _costs(track: _Track, time: float, *, places: NDArray[np.float64], looks: Sequence[Look]) -> NDArray[np.float64]:
    """(F,): distance in sides, less the overlap, plus the difference in appearance; _REFUSED for another face."""
    passed = time - track.time
    middles, sides = places[:, :2], places[:, 2]
    scale = (track.place[2] + sides) / 2
    apart = np.abs(middles - (track.place[:2] + passed * track.velocity)) / scale[:, None]
    far = np.hypot(*apart.T)
    from_last = np.hypot(*(middles - track.place[:2]).T) / scale
    growth = np.maximum(sides, track.place[2]) / np.maximum(np.minimum(sides, track.place[2]), 1e-9)
    likeness = np.array([track.look @ look for look in looks])
    costs = far - _overlaps(apart) + 1 - likeness
    another = (np.minimum(far, from_last) > REACH + SPEED * passed) | (growth > MOST_GROWTH)
    return np.where(another | (likeness < LEAST_LIKENESS), _REFUSED, costs)


def _overlaps(apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """(F,): intersection over union of squares of side 1 whose middles are (F, 2) `apart`."""
    shared = np.prod(np.maximum(1 - apart, 0), axis=1)
    return np.asarray(shared / (2 - shared))
