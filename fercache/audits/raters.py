"""How well one rater predicts the majority of the others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fercache.expressions import EXPRESSIONS
from fercache.votes import voted_labels


@dataclass(frozen=True)
class Ceiling:
    """The score of a rater against the majority of the others: a ceiling for models against such labels.

    `accuracy` over faces with a majority, for each rater; `recall` per expression of that majority, None without faces;
    `mean_class_recall` its mean; `n` pairs of face and rater.
    """

    accuracy: float
    mean_class_recall: float
    recall: dict[str, float | None]
    n: int


def annotator_ceiling(votes: NDArray[np.int16], names: Sequence[str], expressions: Sequence[str]) -> Ceiling | None:
    """From `votes` (N, V), counts for `names`, of which `expressions` count as answers; None without any majority.

    A majority is more than half of the other raters' votes for one of the `expressions`. Other votes (unknown, no
    face) are wrong. Faces with unknown votes (negative) are left out.
    """
    counts = votes[(votes >= 0).all(axis=1)].astype(np.int64)
    known = np.array([name in expressions for name in names])
    raters, right = np.zeros(len(names)), np.zeros(len(names))
    for vote in range(len(names)):  # every rater with this vote
        there = counts[counts[:, vote] > 0]
        others = there - (np.arange(len(names)) == vote)
        winner = others.argmax(axis=1)
        majority = (2 * others.max(axis=1, initial=0) > others.sum(axis=1)) & known[winner]
        weight = there[:, vote] * majority
        raters += np.bincount(winner, weights=weight, minlength=len(names))
        right[vote] += weight[winner == vote].sum()
    if not raters.sum():
        return None
    recall = {name: right[i] / raters[i] if raters[i] else None for i, name in enumerate(names) if known[i]}
    recalls = [value for value in recall.values() if value is not None]
    return Ceiling(right.sum() / raters.sum(), float(np.mean(recalls)), recall, int(raters.sum()))


@dataclass(frozen=True)
class Rerated:
    """Images with two sets of votes: pairs with votes, pairs whose votes differ, and of the `labelled` pairs (both
    have a majority) those whose labels differ."""

    pairs: int
    other_votes: int
    labelled: int
    other_label: int


def rerated(one: NDArray[np.int16], other: NDArray[np.int16], names: Sequence[str]) -> Rerated:
    """`one` and `other` (P, V): votes on P pairs of identical images; unknown ones (negative) are left out."""
    known = (one >= 0).all(axis=1) & (other >= 0).all(axis=1)
    votes = [side[known] for side in (one, other)]
    columns = [f"votes:{name}" for name in names]
    first, second = (voted_labels(EXPRESSIONS, side, columns).index for side in votes)
    labelled = (first >= 0) & (second >= 0)
    return Rerated(
        pairs=int(known.sum()),
        other_votes=int((votes[0] != votes[1]).any(axis=1).sum()),
        labelled=int(labelled.sum()),
        other_label=int((labelled & (first != second)).sum()),
    )
