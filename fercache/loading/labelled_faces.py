"""The labelled faces of one split of a table, for training and evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fercache.audits.duplicates import SearchedFaces
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.expressions import first_expressions
from fercache.splits import meant_split
from fercache.store.copies import copies_path, read_copies
from fercache.store.rows import Rows, take
from fercache.store.schema import CLEAN
from fercache.store.tables import FeatureTable
from fercache.votes import Labels, named_labels, voted_labels


@dataclass(frozen=True)
class Labelling:
    """How a dataset's labels are read: the expressions that count, the vote policy, and the label file."""

    expressions: tuple[str, ...]
    vote_policy: str = "majority"
    label_file: str | None = None


@dataclass(frozen=True)
class LabelledFaces:
    """Labelled rows: `features` (N, D) as stored, `truth` (N,) into the expressions, soft labels (N, L) or None.

    Features may be on disk. `row` (N,) is a row of the table; `group` (N,) is its text, `column=value;...`.
    """

    row: NDArray[np.int64]
    features: Rows
    truth: NDArray[np.int64]
    distribution: NDArray[np.float32] | None
    id: NDArray[np.object_]
    subject: NDArray[np.object_]
    group: NDArray[np.object_]
    dropped: Mapping[str, int]

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64] | slice) -> "LabelledFaces":
        """The rows where `rows` (N,) is true, or those at the indices `rows`, or in a slice."""
        soft = None if self.distribution is None else self.distribution[rows]
        return LabelledFaces(
            self.row[rows],
            take(self.features, rows),
            self.truth[rows],
            distribution=soft,
            id=self.id[rows],
            subject=self.subject[rows],
            group=self.group[rows],
            dropped=self.dropped,
        )


def labels_of(table: FeatureTable, rows: NDArray[np.bool_] | slice, labelling: Labelling) -> Labels:
    """The labels of some rows of a table, from its votes if it has any. Raises UsageError for an unknown label file."""
    columns = table.columns
    if columns.votes is None:
        return named_labels(labelling.expressions, table.classes, columns.label[rows])
    return voted_labels(
        labelling.expressions,
        columns.votes[rows],
        table.vote_columns,
        policy=labelling.vote_policy,
        label_file=labelling.label_file,
    )


def labelled_faces(table: FeatureTable, name: DatasetName, split: str, labelling: Labelling) -> LabelledFaces:
    """The labelled rows of a split ("" = all). Raises UsageError when the split is empty, and without any label."""
    rows = table.columns
    if not table.has_labels:
        raise UsageError(
            f"{name.whole} has no labels: nothing can be trained or scored on it. Expected scores: "
            f"`fercache estimate {name.whole}`; faces worth labelling: `fercache suggest {name.whole}`."
        )
    chosen = of_split(table, name, split)
    labels = labels_of(table, chosen, labelling)
    kept = np.flatnonzero(chosen)[labels.kept]
    return LabelledFaces(
        row=kept,
        features=take(rows.features[CLEAN], kept),
        truth=labels.index[labels.kept],
        distribution=None if labels.distribution is None else labels.distribution[labels.kept],
        id=rows.id[kept],
        subject=rows.subject[kept],
        group=rows.group[kept],
        dropped=dict(labels.dropped),
    )


def expressions_to_train(table: FeatureTable, name: DatasetName) -> tuple[str, ...]:
    """The basic expressions of the training split's faces; none without labels, or without such a split."""
    split = meant_split(set(table.columns.split), "train")
    if split is None or not table.has_labels:
        return ()
    labels = labels_of(table, of_split(table, name, split), Labelling(first_expressions(7)))
    return tuple(labels.expressions[index] for index in np.unique(labels.index[labels.kept]))


def of_split(table: FeatureTable, name: DatasetName, split: str) -> NDArray[np.bool_]:
    """(N,) whether a row is of the split ("" = all). Raises UsageError when the split is empty."""
    chosen: NDArray[np.bool_] = table.columns.split == split if split else np.ones(len(table.columns), dtype=bool)
    if not chosen.any():
        raise UsageError(f"{name} has no faces; the splits of this dataset are {_listed(table)}.")
    return chosen


def searched_faces(table: FeatureTable, rows: NDArray[np.bool_] | slice) -> SearchedFaces:
    """The `rows` (a mask or slice) of a table for a search for copies, with the changed copies stored beside it."""
    path = copies_path(table.path)
    copies = read_copies(path) if path.exists() else None
    return SearchedFaces(
        features=take(table.columns.features[CLEAN], rows),
        pixels=table.columns.pixel_sha256[rows],
        subject=table.columns.subject[rows],
        copies=(copies.original, copies.changed) if copies else None,
    )


def _listed(table: FeatureTable) -> str:
    return ", ".join(repr(split) for split in sorted(set(table.columns.split)))
