"""Which steps of an experiment are done, stale or missing, and why. Reads no files."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from fercache.experiments.steps import Step


class State(StrEnum):
    """The state of a step; `stale`: something that it used has changed since."""

    DONE = "done"
    STALE = "stale"
    MISSING = "missing"


@dataclass(frozen=True)
class Found:
    """What exists of a step: `there` of `wanted` pieces, what has `changed` since, and what is `wrong`.

    `runs` are the folders that training would return, existing or not.
    """

    wanted: int
    there: int
    changed: str = ""
    wrong: str = ""
    runs: tuple[Path, ...] = ()


Inventory: TypeAlias = Sequence[Found]
"""What exists of each step, in order."""


@dataclass(frozen=True)
class Status:
    """A step's state and the reason, empty if done."""

    state: State
    reason: str = ""


def states(steps: Sequence[Step], inventory: Inventory) -> tuple[Status, ...]:
    """The state of each step: a step is not done if it needs a missing or stale one."""
    found: list[Status] = []
    for step, there in zip(steps, inventory, strict=True):
        own = _own_status(step, there)
        waits = [number for number in step.needs if found[number].state != State.DONE]
        if own.state == State.DONE and waits:
            own = Status(State.STALE, f"it needs '{steps[waits[0]].title}'")
        found.append(own)
    return tuple(found)


def _own_status(step: Step, found: Found) -> Status:
    if found.changed:
        return Status(State.STALE, found.changed)
    if found.there == found.wanted and not found.wrong:
        return Status(State.DONE)
    reason = f"{found.there} of {found.wanted} {step.unit}s exist" if found.wanted > 1 else f"no {step.unit} yet"
    return Status(State.MISSING, found.wrong or reason)
