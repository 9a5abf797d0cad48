"""Probabilities of a track, averaged over a short time."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fercache.videos.moments import Moment

SMOOTH = 0.4
"""Seconds before and after a frame over which the probabilities of a track are averaged."""
_ROUNDING = 1e-6


def smoothed(moments: Iterable[Moment], before: float = SMOOTH, after: float = SMOOTH) -> Iterator[Moment]:
    """The same moments; a face's probabilities are the mean of its track's from `before` to `after` seconds around it.

    A moment is yielded once `after` seconds beyond it are known. Memory is that of `before + after` seconds.
    """
    window: deque[Moment] = deque()
    following = 0  # place in the window of the moment to be yielded next
    for moment in moments:
        window.append(moment)
        while following < len(window) and window[following].time + after <= moment.time + _ROUNDING:
            yield _averaged(window, following, reach=(before, after))
            while window[0].time < window[following].time - before - _ROUNDING:
                window.popleft()
                following -= 1
            following += 1
    for place in range(following, len(window)):
        yield _averaged(window, place, reach=(before, after))


def _averaged(window: deque[Moment], place: int, reach: tuple[float, float]) -> Moment:
    middle = window[place]
    shares: dict[int, list[NDArray[np.float32]]] = defaultdict(list)
    for moment in window:
        if -reach[0] - _ROUNDING <= moment.time - middle.time <= reach[1] + _ROUNDING:
            for sighting in moment.sightings:
                shares[sighting.track].append(sighting.shares)
    means = (replace(each, shares=np.mean(shares[each.track], axis=0)) for each in middle.sightings)
    return replace(middle, sightings=tuple(means))
