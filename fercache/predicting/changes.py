"""When the expression of a face in a video changes."""

from dataclasses import dataclass, replace

from fercache.predicting.results import PredictedFace, PredictedFrame

HOLD = 0.4
"""Seconds that an expression must last to count: shorter ones are in the table only."""


@dataclass(frozen=True, slots=True)
class Change:
    """From `time` seconds on, the track of `face` shows its expression.

    Its box is that at this time, its probabilities are those once the expression has lasted.
    """

    time: float
    face: PredictedFace


@dataclass
class _State:
    current: str = ""
    candidate: Change | None = None


class Changes:
    """Follows the expression of every track in the `frames` of a video so far."""

    def __init__(self, hold: float = HOLD) -> None:
        self.hold, self.frames = hold, 0
        self._states: dict[int | None, _State] = {}

    @property
    def tracks(self) -> int:
        """The number of tracks so far."""
        return len(self._states)

    def update(self, frame: PredictedFrame) -> list[Change]:
        """The changes that are certain from this frame on; they began `hold` seconds before it, or earlier."""
        self.frames += 1
        found = (self._follow(Change(frame.time, face)) for face in frame.faces)
        return [change for change in found if change]

    def rest(self) -> list[Change]:
        """At the end: the first expression of tracks that were too short to have a lasting one."""
        return [state.candidate for state in self._states.values() if state.candidate and not state.current]

    def _follow(self, seen: Change) -> Change | None:
        state, expression = self._states.setdefault(seen.face.track, _State()), seen.face.expression
        if expression == state.current:
            state.candidate = None
            return None
        if state.candidate is None or state.candidate.face.expression != expression:
            state.candidate = seen
        if seen.time - state.candidate.time < self.hold - 1e-6:
            return None
        began, state.current, state.candidate = state.candidate, expression, None
        return Change(began.time, replace(began.face, probabilities=seen.face.probabilities))
