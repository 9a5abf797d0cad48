"""A CSV file of predictions, written as they are made and moved into place when complete."""

import csv
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TextIO

from fercache.csv_cells import plain
from fercache.output_paths import check_output_file, shown
from fercache.store.atomic import explained, sync_file

PART = ".part"
"""Suffix of the file until it is complete."""


@dataclass(frozen=True)
class Prediction:
    """An image's probabilities by name, highest first, or the reason why it could not be read."""

    path: str
    probabilities: dict[str, float] = field(default_factory=dict)
    unreadable: str = ""


class PredictionTable:
    """One line per image: path, predicted name, one probability column per name, and why it was unreadable.

    Use it in a `with`. If the body fails, the lines written so far stay beside `path`, in a file that ends in PART.
    """

    def __init__(self, path: Path) -> None:
        """Writes nothing yet. Raises UsageError if no table can be written to `path`."""
        check_output_file(path, ".csv", "--csv")
        self.path, self.rows = path, 0
        self._target = Path(os.path.realpath(path))
        self.part = self._target.with_name(self._target.name + PART)
        self._stream: TextIO | None = None

    def __enter__(self) -> "PredictionTable":
        return self

    def write(self, names: Sequence[str], predictions: Sequence[Prediction]) -> None:
        """Appends lines and flushes them to the file. Raises FercacheError when they cannot be written."""
        with explained(self.path):
            stream = self._stream or self._begun(names)
            writer = csv.writer(stream)
            for one in predictions:
                shares = [f"{one.probabilities[name]:.6f}" if one.probabilities else "" for name in sorted(names)]
                writer.writerow(map(plain, [one.path, next(iter(one.probabilities), ""), *shares, one.unreadable]))
            stream.flush()
        self.rows += len(predictions)

    def _begun(self, names: Sequence[str]) -> TextIO:
        self.part.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self.part.open("w", newline="", encoding="utf-8")
        csv.writer(self._stream).writerow(["path", "prediction", *map(plain, sorted(names)), "unreadable"])
        return self._stream

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._stream is None:
            return
        with explained(self.path):
            self._stream.close()
            if kind is None:
                sync_file(self.part)
                self.part.replace(self._target)
        if error is not None and not isinstance(error, KeyboardInterrupt):  # the message of an interrupt includes it
            print(self.left, file=sys.stderr)

    @property
    def left(self) -> str:
        """A sentence about the lines that are left after an interrupt."""
        if not self.rows:
            return "Nothing was written."
        return f"{shown(self.part)} has the first {self.rows:,} lines; the same command starts from the beginning."
