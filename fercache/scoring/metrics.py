"""Scores from logits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """Scores of `n` faces. By expression: `support`, its faces, and `recall`, None without faces.

    `confusion` (L, L) counts faces, rows are the truth. `mean_class_recall` (UAR) and `macro_f1` are means over
    expressions with support.
    """

    n: int
    accuracy: float
    mean_class_recall: float
    macro_f1: float
    recall: dict[str, float | None]
    support: dict[str, int]
    confusion: list[list[int]]


def predict(logits: NDArray[np.floating], expressions: Sequence[str], known: Collection[str]) -> NDArray[np.int64]:
    """(N, L) logits of `expressions` -> (N,) index of the highest among the `known`. ValueError if none is known."""
    mask = np.array([name in known for name in expressions])
    if not mask.any():
        raise ValueError(f"None of {', '.join(expressions)} is among {', '.join(known)}.")
    highest: NDArray[np.int64] = np.where(mask, logits, -np.inf).argmax(axis=1)
    return highest


def count_confusion(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """(classes, classes) number of faces by truth and prediction."""
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def accuracy(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """(..., L, L) confusions -> (...) share of correct faces (WAR)."""
    return np.asarray(_hits(confusion).sum(-1) / confusion.sum((-2, -1)))


def mean_class_recall(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """(..., L, L) confusions -> (...) mean recall of the classes with support."""
    return _mean_where_supported(_hits(confusion), confusion.sum(-1), confusion)


def adjusted_accuracy(confusion: NDArray[np.int64], mix: NDArray[np.float64]) -> float | None:
    """The accuracy with the `mix` (L,) of expressions, from an (L, L) confusion.

    Recalls weighted by the mix, restricted to expressions with support (Saerens, Latinne & Decaestecker 2002, on new
    priors). With equal shares it equals `mean_class_recall`. None if no expression of the mix has support.
    """
    support = confusion.sum(axis=1)
    shares = np.where(support > 0, mix, 0)
    if not shares.any():
        return None
    return float((shares / shares.sum()) @ (_hits(confusion) / np.maximum(support, 1)))


def macro_f1(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """(..., L, L) confusions -> (...) mean F1 of the classes with support."""
    return _mean_where_supported(2 * _hits(confusion), confusion.sum(-1) + confusion.sum(-2), confusion)


def score(
    logits: NDArray[np.floating], truth: NDArray[np.int64], expressions: Sequence[str], known: Collection[str]
) -> Scores:
    """Scores of (N, L) logits against (N,) truth, both over `expressions`.

    The logits of expressions that the target does not know are masked before the argmax. Raises ValueError without
    faces, or if the truth is not a known expression.
    """
    if len(truth) == 0:
        raise ValueError("There is no face to score.")
    unknown = {expressions[index] for index in np.unique(truth)} - set(known)
    if unknown:
        raise ValueError(f"Faces show {', '.join(sorted(unknown))}, which is not among {', '.join(known)}.")
    confusion = count_confusion(truth, predict(logits, expressions, known), len(expressions))
    support = confusion.sum(1)
    return Scores(
        n=len(truth),
        accuracy=float(accuracy(confusion)),
        mean_class_recall=float(mean_class_recall(confusion)),
        macro_f1=float(macro_f1(confusion)),
        recall={e: float(confusion[k, k] / support[k]) if support[k] else None for k, e in enumerate(expressions)},
        support={e: int(support[k]) for k, e in enumerate(expressions)},
        confusion=confusion.tolist(),
    )


def _hits(confusion: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _mean_where_supported(
    part: NDArray[np.int64], whole: NDArray[np.int64], confusion: NDArray[np.int64]
) -> NDArray[np.float64]:
    supported = confusion.sum(-1) > 0
    ratio = part / np.maximum(whole, 1)
    return np.asarray(ratio.sum(-1, where=supported) / supported.sum(-1))
