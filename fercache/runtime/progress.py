"""A progress bar with rate and time left; on a file or pipe, a plain line now and then."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Never, TextIO, TypeAlias

from tqdm import tqdm

Bar: TypeAlias = "tqdm[Never]"
SECONDS_BETWEEN_LINES = 15.0
WIDEST = 24
"""Letters of what a bar is about, so that it fits 80 columns."""
ON_TERMINAL = "{desc} {percentage:3.0f}%, {remaining} left |{bar}| {n_fmt}/{total_fmt}{unit}, {rate_fmt}{postfix}"
"""What matters comes first: where columns are few, the end is cut off."""
AS_LINES = "{desc}: {n_fmt}/{total_fmt}{unit}, {rate_fmt}, {remaining} left{postfix}"


class _Lines:
    """Turns tqdm's carriage returns into lines, for output that nobody sees being overwritten."""

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
    """At most WIDEST letters, the middle left out: the beginning of a name says what it is, the end which."""
    if len(text) <= WIDEST:
        return text
    begin = WIDEST // 2
    return f"{text[:begin]}…{text[begin + 1 - WIDEST :]}"


@cache
def say_once(text: str) -> None:
    """One line for whoever watches, however often there is a reason to say it."""
    print(text, file=sys.stderr)
