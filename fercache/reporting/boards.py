"""From a frame of records to boards: methods x targets, per encoder and source, with every selection policy.

A method is a run without its seed, read in one way (readout). A cell needs every seed of the method: where one is
missing the cell is X, and then there is no mean over the targets.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isnan
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from fercache.datasets import POOL
from fercache.records import ADJUSTED, IMPORTED, MAIN, METRICS, WITHOUT_DUPLICATES
from fercache.reporting.left_out import ALL_OTHERS

if TYPE_CHECKING:
    import pandas as pd

SELECTIONS = {
    "source-val": "chosen on source validation",
    "last": "last epoch",
    "oracle": "chosen on the target itself: a bound, not a result",
}
METRIC_NAMES = {"accuracy": "accuracy", "uar": "mean class recall", ADJUSTED: "adjusted accuracy"}
SHORT_NAMES = {"accuracy": "Acc.", "uar": "Recall", ADJUSTED: "Adj. acc."}
BASELINES = ("zero-shot", "linear-probe")
MISSING = "X"
UNSEEN = "unseen"

Changed = tuple[tuple[str, Any], ...]
"""Names and values of settings."""


@dataclass(frozen=True)
class Cell:
    """Percent, one value per seed; none where a seed of the method is missing."""

    values: tuple[float, ...] = ()

    @cached_property
    def mean(self) -> float | None:
        """Over the seeds; None where the cell is missing."""
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
    """A head with its trunk, readout and settings. `changed` are the settings in which heads of its kind differ."""

    key: str
    head: str
    trunk: str
    readout: str
    changed: Changed

    @property
    def changed_text(self) -> str:
        """The changed settings, as tables for machines have them."""
        return ", ".join(f"{name}={value}" for name, value in self.changed)

    @property
    def details(self) -> str:
        """What there is to say besides the head's name: trunk, readout, changed settings."""
        trunk = [] if self.trunk in ("", "none") else [f"{self.trunk} trunk"]
        readout = [] if self.readout == MAIN else [f"{self.readout} readout"]
        return ", ".join(trunk + readout + [f"{name}={value}" for name, value in self.changed])

    def __str__(self) -> str:
        return self.head + (f" ({self.details})" if self.details else "")


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
        """Over the unseen targets."""
        return mean_scores([self.cells[target] for target in self.unseen], self.metrics)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What its cells hold."""
        return next((tuple(scores) for scores in self.cells.values()), METRICS)

    def scores(self, column: str) -> Scores:
        """What stands under a column, the mean over the unseen targets among them."""
        return self.unseen_mean if column == UNSEEN else self.cells[column]


def mean_scores(scores: Sequence[Scores], metrics: Sequence[str] = METRICS) -> Scores:
    """Per metric the mean, seed by seed; missing as soon as one of them is."""
    return {metric: _mean([each[metric] for each in scores]) for metric in metrics}


def _mean(cells: Sequence[Cell]) -> Cell:
    if not cells or any(cell.mean is None for cell in cells):
        return Cell()
    return Cell(tuple(fmean(seed) for seed in zip(*(cell.values for cell in cells), strict=True)))


@dataclass(frozen=True)
class MethodTable:
    """Rows of everything trained on one source with one encoder."""

    encoder: str
    encoder_key: str
    source: str
    rows: tuple[Row, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is shown of every cell."""
        return METRICS

    @property
    def selections(self) -> list[str]:
        """The policies in it, in their fixed order."""
        return [name for name in SELECTIONS if any(row.selection == name for row in self.rows)]

    @property
    def headline(self) -> list[Row]:
        """The rows of the first policy: never the oracle's."""
        return [row for row in self.rows if row.selection == self.selections[0]]

    def unmoved(self, selection: str) -> list[Row]:
        """Rows of a later policy that say what the headline says: there was nothing to choose."""
        if selection == self.selections[0]:
            return []
        first = {(row.method.key, row.method.readout): row.cells for row in self.headline}
        rows = (row for row in self.rows if row.selection == selection)
        return [row for row in rows if row.cells == first[row.method.key, row.method.readout]]

    @property
    def incomplete(self) -> bool:
        """Whether a cell is missing somewhere."""
        return any(cell.mean is None for row in self.rows for cells in row.cells.values() for cell in cells.values())

    def fewer(self, row: Row, column: str) -> list[str]:
        """The targets below a column where a row was scored on fewer faces than others: it knows fewer expressions."""
        targets = row.unseen if column == UNSEEN else (column,)
        return [target for target in targets if 0 < row.faces.get(target, 0) < self._most_faces[target]]

    @cached_property
    def _most_faces(self) -> dict[str, int]:
        """By target, the faces that whoever was scored on most of them was scored on."""
        most: dict[str, int] = {}
        for row in self.rows:
            for target, faces in row.faces.items():
                most[target] = max(faces, most.get(target, 0))
        return most

    @property
    def scored_on_fewer(self) -> list[str]:
        """What of the headline is not compared with the others, for each such method and target, with both counts."""
        told = []
        for row in self.headline:
            for target in row.cells:
                if self.fewer(row, target):
                    counts = f"{row.faces[target]:,} of {self._most_faces[target]:,}"
                    told.append(f"{row.method} was scored on {counts} faces of {target}")
        return told

    def best(self, rows: Iterable[Row], column: str, metric: str) -> float | None:
        """The highest mean of a column, as it is printed; of methods that were scored on all its faces."""
        found = (row.scores(column)[metric].mean for row in rows if not self.fewer(row, column))
        means = [round(mean, 1) for mean in found if mean is not None]
        return max(means, default=None)


@dataclass(frozen=True)
class Board(MethodTable):
    """Methods x targets.

    Its columns are target labels: the source's `own`, those that the encoder was trained on (`seen`), and the `unseen`.
    """

    own: tuple[str, ...]
    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    seen_by_encoder: frozenset[str]

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is shown of every cell: with a stated mix of expressions, the accuracy in that as well."""
        return self.rows[0].metrics

    @property
    def columns(self) -> tuple[str, ...]:
        """All target labels, in the order of every table."""
        return (*self.own, *self.seen, *self.unseen)

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns, and the mean over the unseen targets where there are any."""
        return (*self.columns, *((UNSEEN,) if self.unseen else ()))

    def kind(self, label: str) -> str:
        """What a target is to the head and to the encoder."""
        if label in self.seen_by_encoder:
            return "source, seen by encoder" if label in self.own else "seen by encoder"
        return "source" if label in self.own else UNSEEN

    @property
    def source_labels(self) -> tuple[str, ...]:
        """The columns whose mean is the score on the source: all sets of a pooled one, else its first."""
        if POOL not in self.source:
            return self.own[:1]
        return tuple(label for label in self.own if not is_without_duplicates(label))

    def source_scores(self, row: Row) -> Scores | None:
        """A row's scores on the source's own held-out faces; None where they are no column."""
        labels = self.source_labels
        return mean_scores([row.cells[label] for label in labels], self.metrics) if labels else None

    def comparable_mean(self, row: Row) -> float | None:
        """A row's mean accuracy over the unseen targets; None where it lacks one, or some faces that others have."""
        return None if self.fewer(row, UNSEEN) else row.unseen_mean["accuracy"].mean

    def leading(self, rows: Iterable[Row]) -> Row | None:
        """Of `rows` the most accurate on the unseen targets, and where none can be compared there, on the source."""
        return max(rows, key=self._accuracies, default=None)

    def _accuracies(self, row: Row) -> tuple[float, float]:
        unseen, source = self.comparable_mean(row), self.source_scores(row)
        return -1.0 if unseen is None else unseen, (source and source["accuracy"].mean) or -1.0


def is_corrupted(target: str) -> bool:
    """Whether a target is made from another one, as `ferplus+blur:3` is from `ferplus`."""
    return "+" in target


def is_without_duplicates(label: str) -> bool:
    """Whether a target's label says that its faces which the source's train split has are left out."""
    return label.endswith(WITHOUT_DUPLICATES)


def boards(frame: "pd.DataFrame") -> list[Board]:
    """One board per encoder and source. Every target of the frame is a column of every board, but for corrupted ones.

    Scores without duplicates stand beside the target's own where there are any, and count in no mean.
    Every method has a row under the board's first policy, whatever it was scored under: the oracle never stands alone.
    There are no boards where all targets are corrupted.
    """
    target_of = dict(zip(frame["target_label"], frame["target"], strict=True))
    labels = sorted(label for label, target in target_of.items() if not is_corrupted(target))
    if not labels:
        return []
    found = []
    for encoder, encoder_key, source, part in trained_alike(frame):
        scored = set(part["target_label"])
        here = [label for label in labels if label in scored or not is_without_duplicates(label)]
        mine = {label for label in here if target_of[label] in source.split(POOL)}
        # Whoever is scored on what was left out has nothing to do with other targets.
        optional = set(here) if source.startswith(ALL_OTHERS) else mine
        here = [label for label in here if label in scored or label not in optional]
        own = tuple(label for label in here if label in mine)
        known = frozenset(part.loc[part["seen_by_encoder"], "target_label"]).intersection(here)
        seen = tuple(label for label in here if label not in own and label in known)
        unseen = tuple(label for label in here if label not in own and label not in known)
        counted = tuple(label for label in unseen if not is_without_duplicates(label))
        rows = tuple(method_rows(part, here, counted))
        found.append(Board(encoder, encoder_key, source, rows, own, seen, unseen, known))
    return found


def trained_alike(frame: "pd.DataFrame") -> Iterable[tuple[str, str, str, "pd.DataFrame"]]:
    """Encoder, its key, source, and their rows of the frame, with those that were imported for that source.

    Imported predictions of a source that nothing else was trained on stand alone.
    """
    import pandas as pd

    imported = frame["encoder"] == IMPORTED
    trained, there = frame[~imported], frame[imported]
    for (encoder, key, source), part in trained.groupby(["encoder", "encoder_key", "source"]):
        yield str(encoder), str(key), str(source), pd.concat([part, there[there["source"] == source]])
    for source, part in there[~there["source"].isin(set(trained["source"]))].groupby("source"):
        yield IMPORTED, "", str(source), part


def method_rows(part: "pd.DataFrame", labels: Sequence[str], unseen: tuple[str, ...] = ()) -> Iterable[Row]:
    """A row per method and policy of one encoder and source, with a cell per target label, in the order of tables."""
    changed = _changed_settings(part)
    present = set(part["selection"])
    metrics = (*METRICS, ADJUSTED) if ADJUSTED in part else METRICS
    policies = [name for name in SELECTIONS if name in present or (present == {"oracle"} and name == "source-val")]
    methods = [
        (Method(str(key), str(head), str(trunk), str(readout), changed[str(key)]), rows)
        for (key, head, trunk, readout), rows in part.groupby(["method_key", "head", "trunk", "readout"])
    ]
    for method, rows in sorted(methods, key=lambda pair: _method_order(pair[0])):
        seeds = tuple(sorted(set(rows["seed"])))
        scores = {
            (selection, label, seed): values
            for selection, label, seed, *values in zip(
                *(rows[name] for name in ("selection", "target_label", "seed", *metrics)), strict=True
            )
        }
        faces = {str(label): int(count) for label, count in rows.groupby("target_label")["n"].min().items()}
        for selection in policies:
            if _is_shown(selection, policies[0], method, set(rows["selection"])):
                of_seeds = {label: [scores.get((selection, label, seed)) for seed in seeds] for label in labels}
                cells = {label: _cells(values, metrics) for label, values in of_seeds.items()}
                yield Row(method, selection, seeds, cells, unseen, faces)


def _is_shown(selection: str, first: str, method: Method, scored: set[str]) -> bool:
    """Whether a method has a row under a policy. The oracle looks at the main readout, so it bounds no other one."""
    return selection == first or (selection in scored and (selection != "oracle" or method.readout == MAIN))


def _cells(scores: Sequence[Sequence[float] | None], metrics: Sequence[str]) -> Scores:
    found = {}
    for i, metric in enumerate(metrics):
        values = tuple(100 * each[i] for each in scores if each and not isnan(each[i]))
        found[metric] = Cell(values if len(values) == len(scores) else ())
    return found


def _method_order(method: Method) -> tuple[object, ...]:
    rank = BASELINES.index(method.head) if method.head in BASELINES else len(BASELINES)
    return rank, method.head, method.trunk, str(method.changed), method.readout != MAIN, method.readout, method.key


def _plain(value: Any) -> Any:
    """A column with gaps holds whole numbers as 30.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _changed_settings(part: "pd.DataFrame") -> dict[str, Changed]:
    """By method key, the settings that tell it from the board's other methods with that head and trunk.

    Methods that differ in something else (the label policy, the source's table) show their keys.
    """
    names = [column for column in part.columns if column.startswith("setting.")]
    changed: dict[str, Changed] = {}
    for _, rows in part.groupby(["head", "trunk"]):
        methods = rows.drop_duplicates("method_key").set_index("method_key")[names]
        differing = [name for name in names if methods[name].nunique(dropna=False) > 1]
        shown = {
            str(key): tuple((name.removeprefix("setting."), _plain(values[name])) for name in differing)
            for key, values in methods.iterrows()
        }
        alike = Counter(map(str, shown.values()))
        changed |= {
            key: settings if alike[str(settings)] == 1 else (*settings, ("key", key[:8]))
            for key, settings in shown.items()
        }
    return changed
