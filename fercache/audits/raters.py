"""What votes say about their own worth: how well one rater predicts the majority of the others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ceiling:
    """The score of a rater against the majority of the others: what a model can hope for against such labels.

    `accuracy` over faces with a majority, each rater in turn; `recall` per expression of that majority, None where
    there is none; `uar` its mean; `n` pairs of face and rater.
    """

    accuracy: float
    uar: float
    recall: dict[str, float | None]
    n: int


def annotator_ceiling(votes: NDArray[np.int16], names: Sequence[str], expressions: Sequence[str]) -> Ceiling | None:
    """`votes` (N, V) counts for `names`, of which `expressions` count as answers; None without any majority.

    A majority is more than half of the other raters' votes, for one of the `expressions`. A rater who says something
    else (unknown, no face) is wrong. Faces whose votes are not known (negative) are left out.
    """
    counts = votes[(votes >= 0).all(axis=1)].astype(np.int64)
    known = np.array([name in expressions for name in names])
    raters, right = np.zeros(len(names)), np.zeros(len(names))
    for vote in range(len(names)):  # every rater who voted so, in turn
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
    told = [value for value in recall.values() if value is not None]
    return Ceiling(right.sum() / raters.sum(), float(np.mean(told)), recall, int(raters.sum()))
