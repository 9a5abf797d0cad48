"""The errors that a user may see. Their text says what, where, expected, found, and what to type next."""

from collections.abc import Iterable
from difflib import get_close_matches


class FercacheError(Exception):
    """Something failed: the work cannot be finished as asked."""

    exit_code = 1


class UsageError(FercacheError):
    """Something was asked for that cannot be: a wrong name, option, file or combination."""

    exit_code = 2


class InterruptedWorkError(FercacheError):
    """Somebody ended the work; the text says what it left."""

    exit_code = 130


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that names the closest of the `known` names, or all of them, for the end of an error message."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    listed = ", ".join(names) if names else "none"
    return f"Did you mean '{close[0]}'? Known: {listed}." if close else f"Known: {listed}."
