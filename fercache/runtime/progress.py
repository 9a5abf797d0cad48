"""A progress bar with rate and remaining time; plain lines now and then if the output is a file or pipe."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Never, TextIO, TypeAlias

from tqdm import tqdm

Bar: TypeAlias = "tqdm[Never]"
SECONDS_BETWEEN_LINES = 15.0
WIDEST = 24
"""Characters of a bar's description, so that it fits 80 columns."""
ON_TERMINAL = "{desc} {percentage:3.0f}%, {remaining} left |{bar}| {n_fmt}/{total_fmt}{unit}, {rate_fmt}{postfix}"
"""The important parts come first: on narrow terminals, the end is cut off."""
AS_LINES = "{desc}: {n_fmt}/{total_fmt}{unit}, {rate_fmt}, {remaining} left{postfix}"


class _Lines:
    """Turns tqdm's carriage returns into lines, for output that is not a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        if line:
            self.stream.write(line + "\n")

    def flush(self) -> None:
        self.stream.flush()


@contextmanager
def progress(what: str, total: int, unit: str) -> Iterator[Bar]:
    """A bar on standard error; call `update(n)` on it."""
    terminal = sys.stderr.isatty()
    with tqdm(
        desc=shortened(what),
        total=total,
        unit=f" {unit}",
        dynamic_ncols=terminal,
        mininterval=0.2 if terminal else SECONDS_BETWEEN_LINES,
        maxinterval=1.0 if terminal else SECONDS_BETWEEN_LINES,
        delay=0 if terminal else SECONDS_BETWEEN_LINES,
        file=sys.stderr if terminal else _Lines(sys.stderr),
        bar_format=ON_TERMINAL if terminal else AS_LINES,
    ) as bar:
        yield bar


def shortened(text: str) -> str:
    """At most WIDEST characters, without the middle: both ends of a name identify it."""
    if len(text) <= WIDEST:
        return text
    begin = WIDEST // 2
    return f"{text[:begin]}…{text[begin + 1 - WIDEST :]}"


@cache
def say_once(text: str) -> None:
    """Prints a line, once per process."""
    print(text, file=sys.stderr)
