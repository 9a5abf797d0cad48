"""Votes of raters, or names of classes, -> labels over a list of expressions.

An index is always stored with the list of names that it indexes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fercache.errors import UsageError, nearest
from fercache.policies import VotePolicy


@dataclass(frozen=True)
class Labels:
    """The labels of a table's rows under a policy.

    `index` (N,) int64 points into `expressions`, -1 for dropped rows; `distribution` (N, L) float32 holds soft labels
    (zero for dropped rows) or is None; `dropped` counts the dropped rows by reason.
    """

    expressions: tuple[str, ...]
    index: NDArray[np.int64]
    distribution: NDArray[np.float32] | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(N,) whether each row has a label."""
        return self.index >= 0


def named_labels(expressions: Sequence[str], classes: Sequence[str], label: NDArray[np.int16]) -> Labels:
    """Labels over `expressions` from those of a dataset: `label` (N,) indexes `classes`, -1 for none."""
    names = list(expressions)
    position = np.array([names.index(name) if name in names else -1 for name in classes] + [-1])
    index = position[label.astype(np.int64)]  # label -1 reads the last entry, which is -1
    reasons = Counter("no label" if row < 0 else classes[row] for row in label[index < 0])
    return Labels(tuple(names), index.astype(np.int64), dropped=dict(reasons))


def voted_labels(
    expressions: Sequence[str],
    votes: NDArray[np.int16],
    vote_columns: Sequence[str],
    *,
    policy: str = "majority",
    label_file: str | None = None,
) -> Labels:
    """Labels over `expressions` from votes (N, V), whose columns are named `<file>:<name>`; negative: not in that file.

    `label_file` selects the columns (default: the first column's file). Raises UsageError for an unknown policy or
    label file.
    """
    if policy not in tuple(VotePolicy):
        raise UsageError(f"'{policy}' is not a vote policy. {nearest(policy, VotePolicy)}")
    files = list(dict.fromkeys(column.partition(":")[0] for column in vote_columns))
    chosen = label_file or files[0]
    if chosen not in files:
        raise UsageError(f"There are no votes from '{chosen}' in this table. {nearest(chosen, files)}")
    columns = [i for i, column in enumerate(vote_columns) if column.partition(":")[0] == chosen]
    names = [vote_columns[i].partition(":")[2] for i in columns]
    return _counted(tuple(expressions), names, votes[:, columns], policy=policy)


def _counted(expressions: tuple[str, ...], names: list[str], votes: NDArray[np.int16], policy: str) -> Labels:
    """FERPlus's official rules: single votes are noise; a majority is strictly more than half of the others."""
    absent = (votes < 0).all(axis=1)
    counted = np.where(votes > 1, votes, 0)
    total, top, winner = counted.sum(axis=1), counted.max(axis=1), counted.argmax(axis=1)
    reasons = np.full(len(votes), "", dtype=object)
    if policy == "majority":
        reasons[2 * top <= total] = "no majority"
    reasons[total == 0] = "no vote above one"
    reasons[absent] = "not in label file"
    position = np.array([expressions.index(name) if name in expressions else -1 for name in names])
    known = position >= 0
    distribution = None
    if policy == "soft":
        mass = counted[:, known].sum(axis=1)
        reasons[(reasons == "") & (mass == 0)] = "no vote for a known expression"
        distribution = np.zeros((len(votes), len(expressions)), dtype=np.float32)
        distribution[:, position[known]] = counted[:, known] / np.maximum(mass, 1)[:, None]
        winner = np.flatnonzero(known)[counted[:, known].argmax(axis=1)]
    unknown = (reasons == "") & ~known[winner]
    reasons[unknown] = np.array(names, dtype=object)[winner[unknown]]
    left_out = reasons != ""
    if distribution is not None:
        distribution[left_out] = 0
    index = np.where(left_out, -1, position[winner]).astype(np.int64)
    return Labels(expressions, index, distribution, dict(Counter(reasons[left_out])))
