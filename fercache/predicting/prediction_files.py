"""Files of predictions, written as they are made and moved into place when complete."""

import csv
import io
import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from fercache.csv_cells import plain
from fercache.options.predict import SCREEN
from fercache.output_paths import check_output_file, shown
from fercache.predicting.results import PredictedImage, columns, rows
from fercache.store.atomic import explained, sync_file

PART = ".part"
"""Suffix of the file until it is complete."""
Describe = Callable[[], dict[str, Any]]
"""The card of the model."""


class Format(ABC):
    """How images become text; `suffix` is that of its files, `option` the one that names them.

    `videos` says whether there may be frames of videos.
    """

    suffix: str
    option: str
    videos = False

    @abstractmethod
    def head(self, names: Sequence[str], describe: Describe) -> str:
        """The text before the first image; `names` are the possible expressions."""

    @abstractmethod
    def image(self, image: PredictedImage, names: Sequence[str], *, first: bool) -> str:
        """The text of an image."""

    def tail(self) -> str:
        """The text after the last image."""
        return ""


class Csv(Format):
    """A line per face, or per image without faces: see `results.columns`."""

    suffix, option = ".csv", "--csv"

    def head(self, names: Sequence[str], describe: Describe) -> str:
        """See `Format.head`."""
        return _line(columns(sorted(names), videos=self.videos))

    def image(self, image: PredictedImage, names: Sequence[str], *, first: bool) -> str:
        """See `Format.image`."""
        found = rows(image, sorted(names), videos=self.videos)
        return "".join(_line([_cell(cell) for cell in row.values()]) for row in found)


class Json(Format):
    """`{"model": ..., "images": [...]}`, an image per line: see `PredictedImage.to_dict`."""

    suffix, option = ".json", "--json"

    def head(self, names: Sequence[str], describe: Describe) -> str:
        """See `Format.head`."""
        return f'{{"model": {json.dumps(describe(), indent=1)},\n"images": [\n'

    def image(self, image: PredictedImage, names: Sequence[str], *, first: bool) -> str:
        """See `Format.image`."""
        return ("" if first else ",\n") + json.dumps(image.to_dict())

    def tail(self) -> str:
        """See `Format.tail`."""
        return "\n]}\n"


def _line(cells: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(map(plain, cells))
    return text.getvalue()


def _cell(value: Any) -> Any:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else value


class PredictionFile:
    """A file of predictions in a format; SCREEN is standard output.

    Use it in a `with`. If the body fails, the text written so far stays beside `path`, in a file that ends in PART.
    """

    def __init__(self, path: Path, format: Format) -> None:
        """Writes nothing yet. Raises UsageError if no such file can be written to `path`."""
        if path != SCREEN:
            check_output_file(path, format.suffix, format.option)
        self.path, self.images, self._format = path, 0, format
        self._target = Path(os.path.realpath(path))
        self.part = self._target.with_name(self._target.name + PART)
        self._stream: TextIO | None = None

    def __enter__(self) -> "PredictionFile":
        return self

    def begin(self, names: Sequence[str], describe: Describe, *, videos: bool = False) -> None:
        """Writes the head of the file. Raises FercacheError when it cannot be written."""
        self._names, self._format.videos = tuple(names), videos
        with explained(self.path):
            if self.path != SCREEN:
                self.part.parent.mkdir(parents=True, exist_ok=True)
                self._stream = self.part.open("w", newline="", encoding="utf-8")
            self._write(self._format.head(names, describe))

    def write(self, image: PredictedImage) -> None:
        """Appends an image and flushes it to the file. Raises FercacheError when it cannot be written."""
        with explained(self.path):
            self._write(self._format.image(image, self._names, first=not self.images))
        self.images += 1

    def _write(self, text: str) -> None:
        stream = self._stream or sys.stdout
        stream.write(text)
        stream.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.path == SCREEN:
            sys.stdout.write(self._format.tail() if kind is None else "")
        if self._stream is None:
            return
        with explained(self.path):
            self._stream.write(self._format.tail() if kind is None else "")
            self._stream.close()
            if kind is None:
                sync_file(self.part)
                self.part.replace(self._target)
        if error is not None and not isinstance(error, KeyboardInterrupt):  # the message of an interrupt includes it
            print(self.left, file=sys.stderr)

    @property
    def left(self) -> str:
        """A sentence about what is left after an interrupt."""
        if not self.images or self.path == SCREEN:
            return "Nothing was written." if not self.images else ""
        return f"{shown(self.part)} has the first {self.images:,} images; the same command starts from the beginning."
