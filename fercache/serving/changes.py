"""When the expression of a face in a video changes."""

from dataclasses import dataclass

from fercache.serving.results import PredictedFace, PredictedFrame

HOLD = 0.4
"""Seconds that an expression must last to count: shorter ones are in the table only."""


@dataclass(frozen=True, slots=True)
class Change:
    """From `time` seconds on, a face's track shows the expression that `face` shows."""

    time: float
    face: PredictedFace


@dataclass
class _State:
    current: str = ""
    candidate: Change | None = None


class Changes:
    """Follows the expression of every track."""

    def __init__(self, hold: float = HOLD) -> None:
        self.hold = hold
        self._states: dict[int | None, _State] = {}

    def update(self, frame: PredictedFrame) -> list[Change]:
        """The changes that are certain from this frame on; they began `hold` seconds before it, or earlier."""
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
        state.current, settled, state.candidate = expression, state.candidate, None
        return settled
