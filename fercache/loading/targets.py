"""What is scored: the labelled faces of a target's split, and the expressions among which its labels choose."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fercache import registry
from fercache.datasets import DatasetName
from fercache.errors import UsageError, check_length
from fercache.loading.labelled_faces import LabelledFaces, LabelPolicy, labelled_faces
from fercache.loading.run_config import SourcePart
from fercache.records import DUPLICATE
from fercache.records.relations import IDENTICAL, By, How, Seen
from fercache.scoring.drift import Drift
from fercache.splits import default_split
from fercache.store.crops import Crops
from fercache.store.tables import FeatureTable


@dataclass(frozen=True)
class TrainedOn:
    """A set that a run was trained on, by its encoder or its head, and what of N faces of a target is in it.

    `how` is the declared relation of both sets, None without one; `identical` (N,) are the faces whose pixels are there
    exactly, None where the images could not be compared.
    """

    by: By
    through: str
    how: How | None
    identical: NDArray[np.bool_] | None

    def seen(self) -> Seen | None:
        """What a record says of it; None where nothing was seen."""
        images = None if self.identical is None else int(self.identical.sum())
        how: How | None = self.how or (IDENTICAL if images else None)
        return Seen(by=self.by, through=self.through, how=how, images=images) if how else None

    def take(self, rows: NDArray[np.bool_]) -> "TrainedOn":
        """Of the faces where `rows` (N,) is true."""
        return replace(self, identical=None if self.identical is None else self.identical[rows])


@dataclass(frozen=True)
class Target:
    """The faces to be scored, and the expressions among which the set's labels choose.

    `duplicate` (N,) marks the faces whose picture the source's train split has, None where it was not searched;
    `unique`: they are left out. `trained_on` are the sets that the run may have seen them in, `drift` is how
    far all the split's faces are from the source's.
    """

    table: FeatureTable
    name: DatasetName
    faces: LabelledFaces
    known: tuple[str, ...]
    policy: str
    crops: Crops | None = None
    duplicate: NDArray[np.bool_] | None = None
    unique: bool = False
    trained_on: tuple[TrainedOn, ...] = ()
    drift: Drift | None = None

    @property
    def seen(self) -> tuple[Seen, ...]:
        """All that the run has seen of the faces; they are unseen where it is empty."""
        return tuple(found for one in self.trained_on if (found := one.seen()))

    @property
    def not_compared(self) -> tuple[str, ...]:
        """The sets in which identical images were not looked for, since no table in the cache has them."""
        return tuple(dict.fromkeys(one.through for one in self.trained_on if one.identical is None))

    def without_duplicates(self) -> "Target":
        """The faces that the source's train split has not; those left out are counted among the dropped."""
        assert self.duplicate is not None
        faces = self.faces.take(~self.duplicate)
        dropped = {**faces.dropped, DUPLICATE: int(self.duplicate.sum())}
        left = tuple(one.take(~self.duplicate) for one in self.trained_on)
        return replace(self, faces=replace(faces, dropped=dropped), duplicate=None, unique=True, trained_on=left)


def read_target(
    table: FeatureTable, name: DatasetName, labels: LabelPolicy, trained_on: Sequence[SourcePart]
) -> Target:
    """The target `name` of a table for whoever was trained on those sets.

    Raises UsageError for faces that were trained on, and where no face has a label that counts.
    """
    split = unseen_split(set(table.columns.split), name, trained_on)
    check_length(f"The split of {name.whole}", split)
    if labels.policy == "soft":  # soft labels are for training; a score needs one answer per face
        labels = replace(labels, policy="majority")
    faces = labelled_faces(table, name, split, policy=labels)
    if not len(faces.truth):
        raise UsageError(
            f"{name}: no face has a label among {', '.join(labels.expressions)}, so nothing can be scored."
        )
    named = {column.partition(":")[2] for column in table.vote_columns} or set(table.classes)
    known = tuple(expression for expression in labels.expressions if expression in named)
    return Target(table, replace(name, split=split), faces, known=known, policy=labels.policy)


def unseen_split(there: Collection[str], name: DatasetName, trained_on: Sequence[SourcePart]) -> str:
    """The split to score, named or not, of those that are `there`. Raises UsageError where it was trained on."""
    split = name.split or target_split(there, name, trained_on)
    if any(split in ("", part.split) for part in _same_pictures(name, trained_on)):
        others = [f"{name.whole}@{other}" for other in sorted(there) if other != split]
        raise UsageError(
            f"{name} is what the run was trained on, so its score there means nothing. "
            f"Choose another split or set: {', '.join(others) or 'there is no other split here'}."
        )
    return split


def target_split(there: Collection[str], name: DatasetName, trained_on: Sequence[SourcePart]) -> str:
    """Which of the splits that are `there` is scored where none is named."""
    wanted = registry.load("datasets", name.family).target_split
    if not wanted and _same_pictures(name, trained_on):
        wanted = "test"  # all faces would be those that the run was trained on
    return default_split(there, wanted, str(name))


def _same_pictures(name: DatasetName, trained_on: Sequence[SourcePart]) -> list[SourcePart]:
    """Those of the source's sets that have the target's pictures, corrupted or not."""
    return [part for part in trained_on if name.clean == DatasetName.parse(part.name).clean]
