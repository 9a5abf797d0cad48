"""From a frame of records to robustness tables: how much methods lose when a target's images are corrupted.

A corruption's cell is the mean over its severities; the mean over corruptions weighs them equally. All methods need the
severities that any method of the table has: if one is missing, the cell is X, as in boards.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fercache.datasets import DatasetName
from fercache.images.corruptions import KINDS, Corruption, corruptions
from fercache.records import METRICS
from fercache.reporting.boards import MethodTable, headline_of, is_corrupted, trained_alike
from fercache.reporting.method_rows import method_rows
from fercache.reporting.table_rows import BY_ENCODER, BY_HEAD, Cell, Row, Scores, mean_scores

if TYPE_CHECKING:
    import pandas as pd

CLEAN = "clean"
MEAN = "mean"
DROP = "drop"


@dataclass(frozen=True)
class Robustness(MethodTable):
    """Methods x corruptions of one clean target, named by its label.

    Rows have a cell per column, and one per corruption with its severity (`blur:3`). `severities` are by corruption.
    """

    target: str
    severities: Mapping[str, tuple[int, ...]]
    seen_by_encoder: bool
    seen_by_head: bool

    @property
    def mark(self) -> str:
        """The mark of a seen target, † or §."""
        return (BY_ENCODER if self.seen_by_encoder else "") + (BY_HEAD if self.seen_by_head else "")

    @property
    def columns(self) -> tuple[str, ...]:
        """The clean target, every corruption, their mean, and the drop from clean to mean in percent of clean."""
        return (CLEAN, *self.severities, MEAN, DROP)

    def curve(self, row: Row, kind: str) -> list[tuple[int, Cell]]:
        """Severity and accuracy of one corruption, beginning with the clean target (0)."""
        corrupted = [(severity, row.cells[f"{kind}:{severity}"]["accuracy"]) for severity in self.severities[kind]]
        return [(0, row.cells[CLEAN]["accuracy"]), *corrupted]


def robustness(frame: "pd.DataFrame") -> list[Robustness]:
    """One table per encoder, source and clean target, where corrupted versions of that target were scored."""
    found, first = [], headline_of(zip(frame["run"], frame["selection"], strict=True))
    for (encoder, encoder_key, source, sees), part in trained_alike(frame):
        known = {by: set(part.loc[part[by], "target_label"]) for by in ("seen_by_encoder", "seen_by_head")}
        for target, label_of in _versions(part).items():
            rows = tuple(
                _row(row, row.cells[target], {str(each): row.cells[label] for each, label in label_of.items()})
                for row in method_rows(part, [target, *label_of.values()], first)
            )
            seen = {by: not labels.isdisjoint((target, *label_of.values())) for by, labels in known.items()}
            table = Robustness(
                encoder=encoder,
                encoder_key=encoder_key,
                source=source,
                sees=sees,
                rows=rows,
                target=target,
                severities=_severities(label_of),
                **seen,
            )
            found.append(table)
    return found


def _severities(versions: Iterable[Corruption]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for each in versions:
        found[each.name] = (*found.get(each.name, ()), each.severity)
    return found


def _versions(frame: "pd.DataFrame") -> dict[str, dict[Corruption, str]]:
    """The labels of corrupted versions by the clean target's label, in the order of every table."""
    target_of = dict(zip(frame["target_label"], frame["target"], strict=True))
    found: dict[str, dict[Corruption, str]] = {}
    for label, target in sorted(target_of.items()):
        if is_corrupted(target):
            name = DatasetName.parse(target)
            (corruption,) = corruptions(name.corruption)
            # The rest of the label, a split or a vote policy, is also part of the clean target's label.
            found.setdefault(str(name.clean) + label.removeprefix(target), {})[corruption] = label
    order = [each for kind in KINDS for each in corruptions(kind)]
    return {clean: {each: found[clean][each] for each in order if each in found[clean]} for clean in sorted(found)}


def _row(row: Row, clean: Scores, corrupted: Mapping[str, Scores]) -> Row:
    """`corrupted` is by corruption and severity."""
    by_kind: dict[str, list[Scores]] = {}
    for name, scores in corrupted.items():
        by_kind.setdefault(name.partition(":")[0], []).append(scores)
    kinds = {kind: mean_scores(scores) for kind, scores in by_kind.items()}
    mean = mean_scores(list(kinds.values()))
    drop: Scores = {metric: _drop(clean[metric], mean[metric]) for metric in METRICS}
    cells = {CLEAN: clean, **corrupted, **kinds, MEAN: mean, DROP: drop}
    return Row(row.method, row.selection, row.seeds, cells=cells)


def _drop(clean: Cell, mean: Cell) -> Cell:
    """In percent of clean, seed by seed. Missing if either cell is, or if clean accuracy is 0."""
    if not (clean.values and mean.values and all(clean.values)):
        return Cell()
    return Cell(tuple(100 * (before - after) / before for before, after in zip(clean.values, mean.values, strict=True)))


def spans(numbers: Sequence[int]) -> str:
    """Ascending numbers as text: 1–5, or 1,3,5 with gaps."""
    whole = len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1
    return f"{numbers[0]}–{numbers[-1]}" if whole else ",".join(map(str, numbers))
