"""When the expression of a track changes."""

from collections.abc import Callable
from dataclasses import dataclass

from fercache.videos.moments import Moment, Sighting

HOLD = 0.4
"""Seconds that an expression must last to count: shorter ones are in the table only."""


@dataclass(frozen=True, slots=True)
class Change:
    """From `time` on, `track` shows `expression`, with `share` as its probability at that time."""

    time: float
    track: int
    expression: str
    share: float


@dataclass
class _State:
    current: str = ""
    candidate: Change | None = None


class Changes:
    """Follows the expression of every track; `expression` names that of a face."""

    def __init__(self, expression: Callable[[Sighting], str], hold: float = HOLD) -> None:
        self.expression, self.hold = expression, hold
        self._states: dict[int, _State] = {}

    def update(self, moment: Moment) -> list[Change]:
        """The changes that are certain from this moment on; they began `hold` seconds before it, or earlier."""
        found = (self._follow(moment.time, sighting) for sighting in moment.sightings)
        return [change for change in found if change]

    def rest(self) -> list[Change]:
        """At the end: the first expression of tracks that were too short to have a lasting one."""
        return [state.candidate for state in self._states.values() if state.candidate and not state.current]

    def _follow(self, time: float, sighting: Sighting) -> Change | None:
        state, name = self._states.setdefault(sighting.track, _State()), self.expression(sighting)
        if name == state.current:
            state.candidate = None
            return None
        if state.candidate is None or state.candidate.expression != name:
            state.candidate = Change(time, sighting.track, name, float(sighting.shares.max()))
        if time - state.candidate.time < self.hold:
            return None
        state.current, settled, state.candidate = name, state.candidate, None
        return settled
