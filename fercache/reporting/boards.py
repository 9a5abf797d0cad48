"""From a frame of records to boards: methods x targets, per encoder and source, with every selection policy.

A method is a run without its seed, in one readout. A cell needs every seed of the method: if one is missing, the cell
is X. The mean is over the unseen targets that all methods of the board have.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from fercache.policies import Sees
from fercache.records import IMPORTED, MAIN, METRICS, WITHOUT_DUPLICATES
from fercache.reporting.method_names import encoder_names
from fercache.reporting.method_rows import method_rows
from fercache.scoring.selection import headline
from fercache.splits import POOL

if TYPE_CHECKING:
    import pandas as pd

from fercache.reporting.table_rows import (
    BY_ENCODER,
    BY_HEAD,
    SEEN_PART,
    SELECTIONS,
    UNSEEN,
    Row,
    Scores,
    mean_scores,
    written,
)


@dataclass(frozen=True)
class MethodTable:
    """Rows of everything trained on one source with one encoder; `sees` is what the methods saw of the targets."""

    encoder: str
    encoder_key: str
    source: str
    sees: str
    rows: tuple[Row, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of every cell."""
        return METRICS

    @property
    def trained_on(self) -> str:
        """The source, and what the methods saw of the targets if they saw something."""
        return self.source if self.sees == Sees.NOTHING else f"{self.source} (sees: {self.sees})"

    @property
    def selections(self) -> list[str]:
        """Its selection policies: the headline's, then the others in their fixed order."""
        present = {row.selection for row in self.rows} - {self.policy}
        return [self.policy, *(name for name in SELECTIONS if name in present)]

    @property
    def policy(self) -> str:
        """The selection policy of the headline, by which methods are compared; never the oracle."""
        return self.rows[0].selection

    @property
    def headline(self) -> list[Row]:
        """The rows of the first policy."""
        return [row for row in self.rows if row.selection == self.policy]

    def source_accuracy(self, row: Row) -> float | None:
        """A row's accuracy on the source's own held-out faces, in percent; None if they were not scored."""
        return None

    @property
    def drawn(self) -> list[Row]:
        """The headline rows in figures: for each head and trunk, the variant most accurate on its own source."""
        best: dict[tuple[str, str], Row] = {}
        for row in (row for row in self.headline if row.method.readout == MAIN):
            kind = (row.method.head, row.method.trunk)
            best[kind] = max(best.get(kind, row), row, key=lambda row: self.source_accuracy(row) or 0.0)
        return list(best.values())

    def unmoved(self, selection: str) -> list[Row]:
        """Rows of another policy with the headline's scores: there was nothing to select."""
        if selection == self.policy:
            return []
        first = {(row.method.key, row.method.readout): row.cells for row in self.headline}
        rows = (row for row in self.rows if row.selection == selection)
        return [row for row in rows if row.cells == first[row.method.key, row.method.readout]]

    @property
    def common_text(self) -> str:
        """The settings and options that differ from the default and are equal in all methods that have them."""
        return written(tuple(dict.fromkeys(each for row in self.rows for each in row.method.common)))

    @property
    def incomplete(self) -> bool:
        """Whether any cell is missing."""
        return any(cell.mean is None for row in self.rows for cells in row.cells.values() for cell in cells.values())

    def fewer(self, row: Row, column: str) -> list[str]:
        """The targets of a column on which a row was scored on fewer faces, because it knows fewer expressions."""
        targets = row.unseen if column == UNSEEN else (column,)
        return [target for target in targets if 0 < row.faces.get(target, 0) < self._most_faces[target]]

    @cached_property
    def _most_faces(self) -> dict[str, int]:
        """The largest number of faces that any method was scored on, by target."""
        most: dict[str, int] = {}
        for row in self.rows:
            for target, faces in row.faces.items():
                most[target] = max(faces, most.get(target, 0))
        return most

    @property
    def scored_on_fewer(self) -> list[str]:
        """The scores of the headline that are not compared with the others, as text with both counts of faces."""
        described = []
        for row in self.headline:
            for target in row.cells:
                if self.fewer(row, target):
                    counts = f"{row.faces[target]:,} of {self._most_faces[target]:,}"
                    described.append(f"{row.method} was scored on {counts} faces of {target}")
        return described

    def best(self, rows: Iterable[Row], column: str, metric: str) -> float | None:
        """The highest mean of a column, as printed, among methods that were scored on all its faces."""
        found = (row.scores(column)[metric].mean for row in rows if not self.fewer(row, column))
        means = [round(mean, 1) for mean in found if mean is not None]
        return max(means, default=None)


@dataclass(frozen=True)
class Board(MethodTable):
    """Methods x targets.

    Its columns are target labels: the source's `own`, others that the encoder or the head has `seen`, and the `unseen`.
    `why` has the reason for each target that is not unseen, by label.
    """

    own: tuple[str, ...]
    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    seen_by_encoder: frozenset[str]
    seen_by_head: frozenset[str]
    why: Mapping[str, str]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of every cell; with a class mix, adjusted accuracy as well."""
        return self.rows[0].metrics

    @property
    def columns(self) -> tuple[str, ...]:
        """All target labels, in the order of every table."""
        return (*self.own, *self.seen, *self.unseen)

    @property
    def counted(self) -> tuple[str, ...]:
        """The targets of the mean: the unseen ones that every method was scored on, or all if there are none."""
        return self.rows[0].unseen

    @property
    def not_counted(self) -> tuple[str, ...]:
        """The unseen targets that are not in the mean, because a method was not scored on them."""
        return tuple(label for label in _without_repeats(self.unseen) if label not in self.counted)

    @property
    def mean_note(self) -> str:
        """The targets that are in the mean, and those that are not, as text."""
        if not self.unseen:
            return ""
        lacking = f"; not over {', '.join(self.not_counted)}, where a method has no score" if self.not_counted else ""
        return f"over {', '.join(self.counted)}{lacking}"

    def mark(self, label: str) -> str:
        """The mark of a seen target, † or §."""
        return (BY_ENCODER if label in self.seen_by_encoder else "") + (BY_HEAD if label in self.seen_by_head else "")

    @property
    def seen_notes(self) -> list[str]:
        """One line per seen target, with the reason."""
        return [f"{self.mark(label)} {label}: {self.why[label]}" for label in self.columns if label in self.why]

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns, and the mean over the unseen targets if there are any."""
        return (*self.columns, *((UNSEEN,) if self.unseen else ()))

    def kind(self, label: str) -> str:
        """Whether a target is the source, seen (and by what, or how much of it), or unseen."""
        by = [who for who, seen in (("encoder", self.seen_by_encoder), ("head", self.seen_by_head)) if label in seen]
        kinds = (["source"] if label in self.own else []) + ([f"seen by {' and '.join(by)}"] if by else [])
        return ", ".join(kinds) or SEEN_PART.get(self.sees, UNSEEN)

    @property
    def source_labels(self) -> tuple[str, ...]:
        """The columns whose mean is the score on the source: all datasets of a pooled source, else its first."""
        if POOL not in self.source:
            return self.own[:1]
        return tuple(label for label in self.own if not is_without_duplicates(label))

    def source_scores(self, row: Row) -> Scores | None:
        """A row's scores on the source's own held-out faces; None without such a column."""
        labels = self.source_labels
        return mean_scores([row.cells[label] for label in labels], self.metrics) if labels else None

    def source_accuracy(self, row: Row) -> float | None:
        """See `MethodTable`; of a pooled source, the mean over its datasets."""
        scores = self.source_scores(row)
        return scores["accuracy"].mean if scores else None

    def comparable_mean(self, row: Row) -> float | None:
        """A row's mean accuracy over the unseen targets; None if targets, or faces that others have, are missing."""
        return None if self.fewer(row, UNSEEN) else row.unseen_mean["accuracy"].mean

    def leading(self, rows: Iterable[Row]) -> Row | None:
        """The most accurate of `rows` on the unseen targets, or on the source if none can be compared there."""
        return max(rows, key=self._accuracies, default=None)

    def _accuracies(self, row: Row) -> tuple[float, float]:
        unseen = self.comparable_mean(row)
        return -1.0 if unseen is None else unseen, self.source_accuracy(row) or -1.0


def is_corrupted(target: str) -> bool:
    """Whether a target is a corrupted dataset, as `ferplus+blur:3`."""
    return "+" in target


def is_without_duplicates(label: str) -> bool:
    """Whether a target's label is of a score without the faces that have copies in the source's training rows."""
    return label.endswith(WITHOUT_DUPLICATES)


def boards(frame: "pd.DataFrame") -> list[Board]:
    """One board per encoder, source and `Record.method_sees`, with the targets that any of its methods was scored on.

    Corrupted targets are left out. Scores without duplicates have their own column; a mean is over one of the two, the
    target's own if it is unseen. Every method has a row under the board's first policy, even without scores: the oracle
    is never shown alone. If all targets are corrupted, there are no boards.
    """
    target_of = dict(zip(frame["target_label"], frame["target"], strict=True))
    labels = sorted(label for label, target in target_of.items() if not is_corrupted(target))
    if not labels:
        return []
    found, first = [], headline_of(zip(frame["run"], frame["selection"], strict=True))
    for (encoder, encoder_key, source, sees), part in trained_alike(frame):
        scored = set(part["target_label"])
        here = [label for label in labels if label in scored]
        if not here:
            continue
        own = tuple(label for label in here if target_of[label] in source.split(POOL))
        by_encoder = frozenset(part.loc[part["seen_by_encoder"], "target_label"]).intersection(here)
        by_head = frozenset(part.loc[part["seen_by_head"], "target_label"]).intersection(here).difference(own)
        seen = tuple(label for label in here if label not in own and label in by_encoder | by_head)
        unseen = tuple(label for label in here if label not in own and label not in seen)
        rows, why = _with_means(list(method_rows(part, here, first)), _without_repeats(unseen)), _why(part, here)
        board = Board(
            encoder=encoder,
            encoder_key=encoder_key,
            source=source,
            sees=sees,
            rows=rows,
            own=own,
            seen=seen,
            unseen=unseen,
            seen_by_encoder=by_encoder,
            seen_by_head=by_head,
            why=why,
        )
        found.append(board)
    return found


def _with_means(rows: Sequence[Row], unseen: Sequence[str]) -> tuple[Row, ...]:
    """The rows, with their mean over the `unseen` targets that all methods have under the first policy.

    Methods without any of them do not count. If the others have none in common, the mean is over all.
    """
    there = [{target for target in unseen if row.cells[target]["accuracy"].values} for row in rows]
    scored = [
        targets for row, targets in zip(rows, there, strict=True) if row.selection == rows[0].selection and targets
    ]
    common = tuple(target for target in unseen if all(target in targets for targets in scored))
    return tuple(replace(row, unseen=common or tuple(unseen)) for row in rows)


def _without_repeats(unseen: Sequence[str]) -> tuple[str, ...]:
    """The targets of a mean, without counting a face twice: a target without duplicates only if the whole is seen."""
    return tuple(name for name in unseen if name.removesuffix(WITHOUT_DUPLICATES) not in set(unseen) - {name})


def _why(part: "pd.DataFrame", labels: Sequence[str]) -> dict[str, str]:
    """Why targets are not unseen, by label, from the record with most faces: heads may know fewer expressions."""
    described = part[(part["seen"] != "") & part["target_label"].isin(labels)].sort_values("n", kind="stable")
    return {str(label): str(why) for label, why in zip(described["target_label"], described["seen"], strict=True)}


def trained_alike(frame: "pd.DataFrame") -> Iterable[tuple[tuple[str, str, str, str], "pd.DataFrame"]]:
    """Encoder name (see `encoder_names`), its key, source and `Record.method_sees`, each with its rows.

    Methods that saw nothing of their targets come first, with the imported predictions of that source.

    Imported predictions of a source without other runs form a group of their own.
    """
    import pandas as pd

    imported = frame["encoder"] == IMPORTED
    trained, there = frame[~imported], frame[imported]
    names = encoder_names(trained)
    for sees in sorted(set(trained["method_sees"]), key=lambda sees: (sees != Sees.NOTHING, sees)):
        alike = trained[trained["method_sees"] == sees]
        for (_, key, source), part in alike.groupby(["encoder", "encoder_key", "source"]):
            with_it = there[(there["source"] == source) & (there["method_sees"] == sees)]
            yield (names[str(key)], str(key), str(source), sees), pd.concat([part, with_it])
    for source, part in there[~there["source"].isin(set(trained["source"]))].groupby("source"):
        yield (IMPORTED, "", str(source), str(Sees.NOTHING)), part


def headline_of(policies_of_runs: Iterable[tuple[str, str]]) -> str:
    """The selection policy of a report's headline, which all runs have, from pairs of run and policy."""
    policies: dict[str, set[str]] = defaultdict(set)
    for run, selection in policies_of_runs:
        policies[run].add(selection)
    return headline(policies.values())


def mix_notes(frame: "pd.DataFrame", class_mix: Mapping[str, float]) -> list[str]:
    """What adjusted accuracy means, and which targets lack faces of some expressions."""
    shares = ", ".join(f"{name} {100 * share:.3g} %" for name, share in class_mix.items())
    notes = [f"Adjusted accuracy: accuracy if the expressions had the mix {shares}."]
    targets: dict[str, list[str]] = {}
    for label, rows in frame.groupby("target_label"):
        absent = [name for name in class_mix if f"recall.{name}" not in rows or rows[f"recall.{name}"].isna().any()]
        targets.setdefault(", ".join(absent), []).append(str(label))
    notes += [
        f"{', '.join(labels)}: no faces of {absent}, so the mix is over the other expressions."
        for absent, labels in targets.items()
        if absent
    ]
    return [*notes, "With equal shares of a target's expressions, it equals mean class recall."]
