"""Scores from the papers, and what is known of how they were measured, from `published_results.csv`.

A line of that file is one score. `target` names the faces like our labels: CAFE's SFEW figures fit the 891 faces of its
train split. `faces` is their number, empty if unknown. `departs` lists other differences from our protocol, separated
by " | "; empty if there are none. `source` is "none" for methods without a source. Scores that a paper prints twice are
listed once; scores that can only be read off a plot are left out.
"""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from statistics import fmean

from fercache.errors import UsageError, nearest

NO_SOURCE = "none"
"""The source of a method without one, which is listed with every source."""

NO_TABLE = "none"
"""Asked for instead of published tables."""

NOT_OURS = (
    "Published rows differ from ours in more than the method: each has the paper's own encoder, trunk pretraining "
    "(CAFE: CLIP ViT-B/32, MS-Celeb-1M) and training faces."
)
"""The note of every table with published rows."""

MISPRINTED_MEANS = {("CAFE Table 1", "CAFE", "affectnet"): 60.27, ("CAFE Table 1", "EAC", "affectnet"): 53.09}
"""Means in a paper that do not match the row's scores, by reference, method and source."""


@dataclass(frozen=True)
class PublishedScore:
    """One score in percent. `faces` is the number of scored faces, None if unknown."""

    target: str
    percent: float
    faces: int | None
    departs: tuple[str, ...]


@dataclass(frozen=True)
class PublishedRow:
    """A line of a paper's table, named by `reference`, in one metric."""

    method: str
    trunk: str
    source: str
    metric: str
    reference: str
    scores: tuple[PublishedScore, ...]

    @property
    def table(self) -> str:
        """The short name of its table: `cafe:1` for CAFE Table 1, `exp-clip` for a paper with one table."""
        paper, _, number = self.reference.partition(" Table ")
        return f"{paper.lower()}:{number}" if number else paper.removesuffix(" results table").lower()

    @property
    def misprint(self) -> str:
        """The error in the mean that the paper prints for this row; "" if there is none."""
        printed = MISPRINTED_MEANS.get((self.reference, self.method, self.source))
        if printed is None:
            return ""
        mean = fmean(score.percent for score in self.scores)
        return f"{self.reference} prints {printed:.2f} as the mean of {self.method}, whose scores average {mean:.2f}"


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """All published rows of the package, in the order of the file."""
    found: dict[tuple[str, str, str, str, str], list[PublishedScore]] = defaultdict(list)
    text = files("fercache.reporting.export").joinpath("published_results.csv").read_text(encoding="utf-8")
    for line in csv.DictReader(text.splitlines()):
        faces = int(line["faces"]) if line["faces"] else None
        departs = tuple(line["departs"].split(" | ")) if line["departs"] else ()
        score = PublishedScore(line["target"], float(line["value_percent"]), faces=faces, departs=departs)
        found[line["method"], line["trunk"], line["source"], line["metric"], line["reference"]].append(score)
    return tuple(PublishedRow(*row, scores=tuple(scores)) for row, scores in found.items())


def rows_of(tables: Sequence[str]) -> Sequence[PublishedRow] | None:
    """The published rows of `tables`: short names, papers (`cafe`: all of its tables), or NO_TABLE; None for ().

    Raises UsageError for any other name, and for NO_TABLE beside others.
    """
    if not tables:
        return None
    if NO_TABLE in tables:
        if len(tables) > 1:
            raise UsageError(f"--published {','.join(tables)}: '{NO_TABLE}' stands alone; leave out the others.")
        return []
    names = {row: {row.table, row.table.partition(":")[0]} for row in published_rows()}
    known = {NO_TABLE}.union(*names.values())
    if unknown := [name for name in tables if name not in known]:
        raise UsageError(f"--published: there is no published table '{unknown[0]}'. {nearest(unknown[0], known)}")
    return [row for row, of_row in names.items() if not of_row.isdisjoint(tables)]
