"""Accuracy and mean class recall of a run from a few labels, drawn with known probabilities, and all its predictions.

Prediction-powered inference (PPI++, Angelopoulos, Duchi & Zrnic, arXiv 2311.01453) with weights (Hajek 1971): the mean
over all faces of what is expected without labels, plus the weighted mean error of that expectation on labelled faces.
The estimate does not depend on whether the expectation is right; how certain it is does. Coverage and width are
simulated in `tests/few_labels`; the figures are in docs/few_labels.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from fercache.scoring.intervals import LEVEL, Interval

FEWEST_LABELS = 10
"""With fewer labels no interval is given."""
_RARE = 0.005
"""An expression predicted for a smaller share of the faces is left out of mean class recall, unless it is labelled."""
_PULL = 2
_BORROWED = 1
"""Pseudo-faces that pull a variance towards that of a plain share: few labels may agree by luck."""
_ANY_SHARE = 1 / 12
"""Variance of a recall of which nothing is known."""
_LEAST_OF_LABELLED = 0.3
"""A correction leaves an expression at least this part of its weight among the labels."""


@dataclass(frozen=True)
class LabelledSample:
    """n labelled faces of N: `row` (n,) among the N, `truth` (n,) index of the expression, `inclusion` (n,), the
    probability with which each was drawn and labelled, and `stratum` (n,)."""

    row: NDArray[np.int64]
    truth: NDArray[np.int64]
    inclusion: NDArray[np.float64]
    stratum: NDArray[np.int64]

    def take(self, faces: NDArray[np.bool_]) -> "LabelledSample":
        """The labelled faces where `faces` (n,) is true."""
        return LabelledSample(self.row[faces], self.truth[faces], self.inclusion[faces], self.stratum[faces])


@dataclass(frozen=True)
class Estimate:
    """A share of faces, or a mean over expressions, with its interval."""

    value: float
    interval: Interval


def estimate_scores(
    sample: LabelledSample, predicted: NDArray[np.int64], posterior: NDArray[np.float64], level: float = LEVEL
) -> dict[str, Estimate]:
    """`accuracy` and `mean_class_recall` of the answers `predicted` (N,), as if all N faces were labelled.

    `posterior` (N, L) are probabilities of the expressions from any model that has not learned from these labels.
    Mean class recall is over the expressions that are labelled or not rarely predicted. Raises ValueError for fewer
    than FEWEST_LABELS labels.
    """
    if len(sample.row) < FEWEST_LABELS:
        raise ValueError(f"An interval needs {FEWEST_LABELS} labels, not {len(sample.row)}.")
    weighted = _Weighted(sample)
    right = (predicted[weighted.row] == weighted.truth).astype(np.float64)
    value, error = weighted.corrected(right, posterior[np.arange(len(predicted)), predicted])
    value = min(max(value, 0.0), 1.0)
    variance = weighted.variance(error, _Plain(value, right, np.ones_like(right, dtype=bool)))
    labels = len(sample.row)
    recalls = list(_recalls(weighted, predicted, posterior, usual=_pulled(value, labels)))
    mean = float(np.mean([recall for recall, _ in recalls]))
    summed = sum(each for _, each in recalls) / len(recalls) ** 2
    return {
        "accuracy": Estimate(value, _interval(value, variance, labels, fitted=2, level=level)),
        "mean_class_recall": Estimate(mean, _interval(mean, summed, labels, fitted=len(recalls), level=level)),
    }


def _recalls(
    weighted: "_Weighted", predicted: NDArray[np.int64], posterior: NDArray[np.float64], usual: float
) -> Iterator[tuple[float, float]]:
    """The recall of each expression and its variance."""
    shares = np.bincount(posterior.argmax(axis=1), minlength=posterior.shape[1]) / len(posterior)
    for expression, share in enumerate(shares):
        shown = weighted.truth == expression
        expected = posterior[:, expression]
        expected_right = expected * (predicted == expression)
        if not shown.any():
            if share >= _RARE:
                yield float(expected_right.sum() / expected.sum()), _ANY_SHARE
            continue
        right = shown * (predicted[weighted.row] == expression).astype(np.float64)
        hits, error = weighted.corrected(right, expected_right)
        faces, error_of_faces = weighted.corrected(shown.astype(np.float64), expected)
        faces = max(faces, _LEAST_OF_LABELLED * weighted.mean(shown))
        recall = min(max(hits / faces, 0.0), 1.0)
        ratio = (error - recall * error_of_faces) / faces  # Taylor linearisation
        yield recall, weighted.variance(ratio, _Plain(recall, right, shown, usual))


@dataclass(frozen=True)
class _Plain:
    """A `share` of the `among` (n,) labelled faces are `right` (n,); a `usual` share, from more faces."""

    share: float
    right: NDArray[np.float64]
    among: NDArray[np.bool_]
    usual: float = 0.5


class _Weighted:
    """A sample in the order of its strata, with weights whose sum is 1."""

    def __init__(self, sample: LabelledSample) -> None:
        order = np.argsort(sample.stratum, kind="stable")
        self.row, self.truth, self.inclusion = sample.row[order], sample.truth[order], sample.inclusion[order]
        self.weight = 1 / self.inclusion / (1 / self.inclusion).sum()

    def mean(self, values: NDArray[Any]) -> float:
        return float((self.weight * values).sum())

    def corrected(
        self, values: NDArray[np.float64], expected: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]:
        """The mean of a quantity over all N faces, from labelled `values` (n,) and those `expected` (N,); errors (n,).

        The slope of `values` on `expected`, lambda of PPI++, minimises the variance.
        """
        own = expected[self.row]
        value, mean = values - self.mean(values), own - self.mean(own)
        spread = (self.weight**2 * mean**2).sum()
        slope = np.clip((self.weight**2 * value * mean).sum() / spread, 0, 1) if spread > 1e-15 else 0.0
        return self.mean(values) + float(slope * (expected.mean() - self.mean(own))), value - slope * mean

    def variance(self, error: NDArray[np.float64], plain: _Plain) -> float:
        """The variance of a mean with these errors (n,), from differences of neighbours in the strata.

        Pulled towards that of the `plain` share, itself pulled towards the usual one, more so if few faces are right,
        or few are wrong. The number of equally weighted faces that say as much is that of Kish (1965).
        """
        count, left = len(error), 1 - self.inclusion
        steps = np.diff(np.sqrt(left) * self.weight * error)
        found = count / (2 * (count - 1)) * (steps**2).sum()
        weight = self.weight[plain.among]
        faces = weight.sum() ** 2 / (weight**2).sum()
        share = (plain.share * faces + _PULL * plain.usual) / (faces + _PULL)
        simple = share * (1 - share) / faces * left[plain.among].mean()
        hits = plain.right.sum()
        telling = min(hits, plain.among.sum() - hits)
        return float((telling * found + _BORROWED * simple) / (telling + _BORROWED))


def _pulled(share: float, labels: int) -> float:
    return (share * labels + 1) / (labels + 2)


def _interval(value: float, variance: float, labels: int, *, fitted: int, level: float) -> Interval:
    """Wilson's interval, with Student's t, for as many faces as would give a plain share of `value` the `variance`.

    `fitted` is the number of parameters estimated from the `labels`.
    """
    quantile = stdtrit(max(labels - fitted, 2), (1 + level) / 2)
    share = _pulled(value, labels)
    faces = share * (1 - share) / max(variance, 1e-12)
    centre = (value + quantile**2 / (2 * faces)) / (1 + quantile**2 / faces)
    reach = quantile / (1 + quantile**2 / faces) * np.sqrt(value * (1 - value) / faces + quantile**2 / (4 * faces**2))
    return max(float(centre - reach), 0.0), min(float(centre + reach), 1.0)
