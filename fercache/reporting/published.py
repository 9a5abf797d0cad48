"""Scores from the papers, with what is known of how each was measured: all of it is in `published_results.csv`.

A line of that file is one score. `target` names the faces as our labels do: CAFE's SFEW figures fit the 891 faces of
its train split. `faces` is their number, empty where it is not known. `departs` says, separated by " | ", in what else
the score was not measured as ours are; empty: in nothing. `source` is "none" for methods that train on no source. What
a paper prints twice is there once, and what could only be read off a plot is not there.
"""

import csv
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

NO_SOURCE = "none"
"""The source of a method that trains on none: it stands beside every source."""


@dataclass(frozen=True)
class PublishedScore:
    """One score in percent. `faces` is None where nobody knows how many were scored."""

    target: str
    percent: float
    faces: int | None
    departs: tuple[str, ...]


@dataclass(frozen=True)
class PublishedRow:
    """A line of a paper's table in one metric, which `reference` names."""

    method: str
    trunk: str
    source: str
    metric: str
    reference: str
    scores: tuple[PublishedScore, ...]


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """All that ship with the package, in the order of the file."""
    found: dict[tuple[str, str, str, str, str], list[PublishedScore]] = defaultdict(list)
    text = files("fercache.reporting").joinpath("published_results.csv").read_text(encoding="utf-8")
    for line in csv.DictReader(text.splitlines()):
        faces = int(line["faces"]) if line["faces"] else None
        departs = tuple(line["departs"].split(" | ")) if line["departs"] else ()
        score = PublishedScore(line["target"], float(line["value_percent"]), faces, departs)
        found[line["method"], line["trunk"], line["source"], line["metric"], line["reference"]].append(score)
    return tuple(PublishedRow(*row, scores=tuple(scores)) for row, scores in found.items())
