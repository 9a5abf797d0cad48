"""Probabilities of a face in a video, averaged over a short time."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from fercache.predicting.results import PredictedFace, PredictedFrame, answered

_ROUNDING = 1e-6


def smoothed(
    frames: Iterable[PredictedFrame], before: float, after: float, unknown_below: float = 0.0
) -> Iterator[PredictedFrame]:
    """The same frames; the probabilities of a face are the mean of its track's, `before` to `after` seconds around it.

    A frame is yielded once `after` seconds beyond it are known. Memory is that of `before + after` seconds.
    """
    window: deque[PredictedFrame] = deque()
    following = 0  # place in the window of the frame to be yielded next
    for frame in frames:
        window.append(frame)
        while following < len(window) and window[following].time + after <= frame.time + _ROUNDING:
            yield _averaged(window, window[following], reach=(before, after), unknown_below=unknown_below)
            while window[0].time < window[following].time - before - _ROUNDING:
                window.popleft()
                following -= 1
            following += 1
    for place in range(following, len(window)):
        yield _averaged(window, window[place], reach=(before, after), unknown_below=unknown_below)


def _averaged(
    window: deque[PredictedFrame], middle: PredictedFrame, *, reach: tuple[float, float], unknown_below: float
) -> PredictedFrame:
    seen: dict[int | None, list[PredictedFace]] = defaultdict(list)
    for frame in window:
        if -reach[0] - _ROUNDING <= frame.time - middle.time <= reach[1] + _ROUNDING:
            for face in frame.faces:
                seen[face.track].append(face)
    means = (answered(face, _mean(seen[face.track]), unknown_below) for face in middle.faces)
    return replace(middle, faces=tuple(means))


def _mean(faces: list[PredictedFace]) -> dict[str, float]:
    return {name: sum(face.probabilities[name] for face in faces) / len(faces) for name in faces[0].probabilities}
