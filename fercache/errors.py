"""The errors that a user may see. Their text says what, where, expected, found, and which command fixes it."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pydantic import ValidationError

LONGEST_NAME = 100
"""Bytes of a name; several make up a file name, which may have 255."""
_LONGEST_FILE = 200
"""Leaves room for the suffix of temporary files."""


class FercacheError(Exception):
    """The work failed and cannot be finished as requested."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(re.sub(r"\S{1000,}", lambda long: f"{long[0][:100]}...", message))


class UsageError(FercacheError):
    """Wrong use: a wrong name, option, file or combination."""

    exit_code = 2


class PartlyReadError(FercacheError):
    """The work is done, except for files that cannot be read."""

    exit_code = 3


class InterruptedWorkError(FercacheError):
    """The work was interrupted; the text says what is kept."""

    exit_code = 130


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence with the closest of the `known` names, or all of them, to end an error message."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    listed = ", ".join(names) if names else "none"
    return f"Did you mean '{close[0]}'? Known: {listed}." if close else f"Known: {listed}."


class FieldProblem(NamedTuple):
    """What is wrong with a field: its place, pydantic's `kind` of error, the message, and the value that was given."""

    place: tuple[str | int, ...]
    kind: str
    message: str
    given: Any

    @property
    def name(self) -> str:
        """The place with dots: `settings.learning_rate`."""
        return ".".join(map(str, self.place))


def first_problem(error: "ValidationError") -> FieldProblem:
    """The first of a model's problems; an unknown name before what is missing, which it is often a misspelling of."""
    problems = error.errors(include_url=False)
    first = next((one for one in problems if one["type"] == "extra_forbidden"), problems[0])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "enum":
        known = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        message = f"there is no '{first['input']}'. {nearest(str(first['input']), known)}".removesuffix(".")
    return FieldProblem(first["loc"], first["type"], message, first["input"])


def check_length(what: str, name: str) -> None:
    """Raises UsageError for a name (of `what`) that is too long for the files written at the end of the work."""
    _check_length(what, name, LONGEST_NAME)


def check_file_name(what: str, name: str) -> None:
    """The same for a file or folder name made up of several names."""
    _check_length(what, name, _LONGEST_FILE)


def _check_length(what: str, name: str, most: int) -> None:
    length = len(name.encode("utf-8", "surrogateescape"))
    if length > most:
        raise UsageError(
            f"{what} {name[:40]}... is {length} bytes long; files are named after it. Shorten it to {most} bytes."
        )
