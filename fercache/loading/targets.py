"""Targets: the labelled faces of the scored split, and the expressions of its labels."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fercache import registry
from fercache.datasets import DatasetName
from fercache.errors import UsageError, check_length
from fercache.loading.labelled_faces import LabelledFaces, Labelling, labelled_faces
from fercache.loading.run_config import SourcePart
from fercache.records import DUPLICATE, FewRecord
from fercache.records.relations import IDENTICAL, By, How, Seen
from fercache.scoring.drift import Drift
from fercache.splits import default_split
from fercache.store.crops import CropFile
from fercache.store.tables import FeatureTable


@dataclass(frozen=True)
class TrainedOn:
    """A dataset that a run's encoder or head was trained on, and which of a target's N faces are in it.

    `how` is the declared relation of the two datasets, or None; `identical` (N,) marks the faces with identical pixels,
    None if the images could not be compared.
    """

    by: By
    through: str
    how: How | None
    identical: NDArray[np.bool_] | None

    def seen(self) -> Seen | None:
        """The entry in a record; None if nothing was seen."""
        images = None if self.identical is None else int(self.identical.sum())
        how: How | None = self.how or (IDENTICAL if images else None)
        return Seen(by=self.by, through=self.through, how=how, images=images) if how else None

    def take(self, rows: NDArray[np.bool_]) -> "TrainedOn":
        """The same for the faces where `rows` (N,) is true."""
        return replace(self, identical=None if self.identical is None else self.identical[rows])


@dataclass(frozen=True)
class Target:
    """The faces to score. `known` are the expressions that the dataset's labels can have.

    `duplicate` (N,) marks the faces with a copy in the source's training rows, None if not searched; `unique`: they are
    left out. `trained_on` lists the datasets in which the run may have seen the faces; `drift` is the distance of all
    the split's faces from the source's. `few` are labels that the run has learned from; their faces are left out.
    """

    table: FeatureTable
    name: DatasetName
    faces: LabelledFaces
    known: tuple[str, ...]
    vote_policy: str
    crops: CropFile | None = None
    duplicate: NDArray[np.bool_] | None = None
    unique: bool = False
    trained_on: tuple[TrainedOn, ...] = ()
    drift: Drift | None = None
    few: FewRecord | None = None

    @property
    def seen(self) -> tuple[Seen, ...]:
        """What the run has seen of the faces; empty for unseen faces."""
        return tuple(found for one in self.trained_on if (found := one.seen()))

    @property
    def not_compared(self) -> tuple[str, ...]:
        """The datasets that were not searched for identical images, because the cache has no table of them."""
        return tuple(dict.fromkeys(one.through for one in self.trained_on if one.identical is None))

    def without_duplicates(self) -> "Target":
        """The same target without duplicates, which are counted among the dropped faces."""
        assert self.duplicate is not None
        return replace(self.without(self.duplicate, DUPLICATE), duplicate=None, unique=True)

    def without(self, left_out: NDArray[np.bool_], reason: str) -> "Target":
        """The same target without the faces where `left_out` (N,) is true, which are counted as dropped."""
        faces = self.faces.take(~left_out)
        if left_out.any():
            faces = replace(faces, dropped={**faces.dropped, reason: int(left_out.sum())})
        left = tuple(one.take(~left_out) for one in self.trained_on)
        return replace(self, faces=faces, trained_on=left)


def read_target(table: FeatureTable, name: DatasetName, labels: Labelling, trained_on: Sequence[SourcePart]) -> Target:
    """The target `name` of a table, for a model trained on the datasets `trained_on`.

    Raises UsageError for a split that was trained on, and if no face has a label among the expressions.
    """
    split = unseen_split(set(table.columns.split), name, trained_on)
    check_length(f"The split of {name.whole}", split)
    if labels.vote_policy == "soft":  # soft labels are for training; a score needs one label per face
        labels = replace(labels, vote_policy="majority")
    faces = labelled_faces(table, name, split, labelling=labels)
    if not len(faces.truth):
        raise UsageError(
            f"{name}: no face has a label among {', '.join(labels.expressions)}, so nothing can be scored."
        )
    named = {column.partition(":")[2] for column in table.vote_columns} or set(table.classes)
    known = tuple(expression for expression in labels.expressions if expression in named)
    return Target(table, replace(name, split=split), faces, known=known, vote_policy=labels.vote_policy)


def unseen_split(there: Collection[str], name: DatasetName, trained_on: Sequence[SourcePart]) -> str:
    """The split to score of those that are `there`. Raises UsageError if it was trained on."""
    split = name.split or target_split(there, name, trained_on)
    if any(split in ("", part.split) for part in _same_images(name, trained_on)):
        others = [f"{name.whole}@{other}" for other in sorted(there) if other != split]
        raise UsageError(
            f"The run was trained on {name}, so a score there would mean nothing. "
            f"Choose another split or dataset: {', '.join(others) or f'{name.whole} has no other split'}."
        )
    return split


def target_split(there: Collection[str], name: DatasetName, trained_on: Sequence[SourcePart]) -> str:
    """The split of those that are `there` to score by default."""
    wanted = registry.load("datasets", name.family).target_split
    if not wanted and _same_images(name, trained_on):
        wanted = "test"  # all faces would include the training faces
    return default_split(there, wanted, str(name))


def _same_images(name: DatasetName, trained_on: Sequence[SourcePart]) -> list[SourcePart]:
    """The source's datasets that have the target's images, corrupted or not."""
    return [part for part in trained_on if name.clean == DatasetName.parse(part.name).clean]
