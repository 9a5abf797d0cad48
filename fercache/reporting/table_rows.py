"""A method's row in a table: its name, and a cell for each column and metric."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from fercache.policies import Sees
from fercache.records import ADJUSTED, MAIN, METRICS
from fercache.reporting.method_names import Changed

if TYPE_CHECKING:
    pass

SELECTIONS = {
    "source-val": "chosen on source validation",
    "source-1se": "chosen as the most regular within one standard error of the best on source validation",
    "source-shifted": "chosen on shifted images of source validation",
    "last": "of the last epoch",
    "oracle": "chosen on the target itself: a bound, not a result",
}
METRIC_NAMES = {"accuracy": "accuracy", "mean_class_recall": "mean class recall", ADJUSTED: "adjusted accuracy"}
BASELINES = ("zero-shot", "class-mean", "linear-probe")
MISSING = "X"
UNSEEN = "unseen"
SEEN_PART = {Sees.UNLABELLED.value: "seen without labels", Sees.LABELS.value: "a few labels seen"}
"""Instead of unseen, by what methods saw of their targets."""
COMMON = "Shared by all methods that have them"
"""Introduces `MethodTable.common_text`."""
BY_ENCODER, BY_HEAD = "†", "§"
"""Mark the targets that the encoder, and the head in its source, has seen."""


Interval = tuple[float, float]
"""The 95 % interval of a score on other faces, in percent, averaged over seeds."""


@dataclass(frozen=True)
class Cell:
    """Percent, one value per seed; empty if a seed of the method is missing. Means of cells have no `interval`."""

    values: tuple[float, ...] = ()
    interval: Interval | None = field(default=None, compare=False)

    @cached_property
    def mean(self) -> float | None:
        """The mean over the seeds; None if the cell is missing."""
        return fmean(self.values) if self.values else None

    @cached_property
    def deviation(self) -> float | None:
        """Sample standard deviation over the seeds; None for a single one."""
        return stdev(self.values) if len(self.values) > 1 else None

    def __str__(self) -> str:
        if self.mean is None:
            return MISSING
        return f"{self.mean:.1f}" + ("" if self.deviation is None else f" ±{self.deviation:.1f}")


@dataclass(frozen=True)
class Method:
    """A head with its trunk, readout and settings.

    `changed` are the settings that differ from other methods of the table or from the default; `common` are those that
    all methods share.
    """

    key: str
    head: str
    trunk: str
    readout: str
    changed: Changed
    common: Changed = ()

    @property
    def changed_text(self) -> str:
        """The changed settings as text, as in CSV tables."""
        return written(self.changed)

    @property
    def details(self) -> str:
        """The method except its head: trunk, readout, changed settings."""
        trunk = [] if self.trunk in ("", "none") else [f"{self.trunk} trunk"]
        readout = [] if self.readout == MAIN else [f"{self.readout} readout"]
        return ", ".join([*trunk, *readout, *([self.changed_text] if self.changed else [])])

    def __str__(self) -> str:
        return self.head + (f" ({self.details})" if self.details else "")


def written(changed: Changed) -> str:
    """Names and values, as on a command line."""
    return ", ".join(f"{name}={value}" for name, value in changed)


Scores = dict[str, Cell]
"""One cell per metric."""


@dataclass(frozen=True)
class Row:
    """One method under one selection policy: `cells[column][metric]`, and `faces` by column where it was scored."""

    method: Method
    selection: str
    seeds: tuple[int, ...]
    cells: dict[str, Scores]
    unseen: tuple[str, ...] = ()
    faces: dict[str, int] = field(default_factory=dict)

    @cached_property
    def unseen_mean(self) -> Scores:
        """The mean over the unseen targets."""
        return mean_scores([self.cells[target] for target in self.unseen], self.metrics)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of its cells."""
        return next((tuple(scores) for scores in self.cells.values()), METRICS)

    def scores(self, column: str) -> Scores:
        """The scores in a column; UNSEEN is the mean over the unseen targets."""
        return self.unseen_mean if column == UNSEEN else self.cells[column]


def mean_scores(scores: Sequence[Scores], metrics: Sequence[str] = METRICS) -> Scores:
    """The mean of each metric, seed by seed; missing if any of `scores` is."""
    return {metric: _mean([each[metric] for each in scores]) for metric in metrics}


def _mean(cells: Sequence[Cell]) -> Cell:
    if not cells or any(cell.mean is None for cell in cells):
        return Cell()
    return Cell(tuple(fmean(seed) for seed in zip(*(cell.values for cell in cells), strict=True)))
