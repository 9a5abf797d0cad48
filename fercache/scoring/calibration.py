"""How well confidence tells right from wrong."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fercache.scoring.intervals import refuse_no_faces


@dataclass(frozen=True)
class Calibration:
    """The expected calibration error `ece`, and what it is made of: one entry per bin of confidence, lowest first.

    `confidence` and `accuracy` are means over a bin's `faces`, None where it has none.
    """

    ece: float
    faces: tuple[int, ...]
    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]


@dataclass(frozen=True)
class Abstention:
    """`risk[i]`: the share wrong among the most confident share `coverage[i]` of the faces; `area`: the mean risk."""

    coverage: tuple[float, ...]
    risk: tuple[float, ...]
    area: float


def calibration(probabilities: NDArray[np.float64], truth: NDArray[np.int64], bins: int = 15) -> Calibration:
    """How far the confidence of (N, L) `probabilities`, each face's highest, is from its being right.

    Bins are equally wide over (0, 1]. Raises ValueError without faces.
    """
    confidence, right = _confidence(probabilities, truth)
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    bin_of = np.digitize(confidence, inner_edges, right=True)
    faces, confident, correct = (
        np.bincount(bin_of, weights, minlength=bins) for weights in (None, confidence, right.astype(float))
    )
    return Calibration(
        ece=float(np.abs(confident - correct).sum() / len(truth)),
        faces=tuple(int(n) for n in faces),
        confidence=tuple(float(total / n) if n else None for total, n in zip(confident, faces, strict=True)),
        accuracy=tuple(float(total / n) if n else None for total, n in zip(correct, faces, strict=True)),
    )


def risk_coverage(probabilities: NDArray[np.float64], truth: NDArray[np.int64], points: int = 20) -> Abstention:
    """What is wrong where only the most confident faces are answered, at `points` coverages up to 1.

    Faces with equal confidence share their mean risk, so that the order of the faces says nothing. The area is over
    all N coverages (AURC). Raises ValueError without faces.
    """
    confidence, right = _confidence(probabilities, truth)
    _, level, faces = np.unique(-confidence, return_inverse=True, return_counts=True)
    wrong = np.bincount(level, ~right) / faces
    risks = np.cumsum(np.repeat(wrong, faces)) / np.arange(1, len(truth) + 1)
    last = [-(-point * len(truth) // points) - 1 for point in range(1, points + 1)]
    return Abstention(
        coverage=tuple(point / points for point in range(1, points + 1)),
        risk=tuple(float(risk) for risk in risks[last]),
        area=float(risks.mean()),
    )


def probabilities(logits: NDArray[np.floating], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N, L) softmax of the logits over the `known` (L,) expressions; 0 for the others.

    Raises ValueError for logits that are no finite numbers, and when no expression is known.
    """
    if not np.isfinite(logits).all():
        broken = int(np.count_nonzero(~np.isfinite(logits).all(axis=1)))
        raise ValueError(f"Logits must be finite numbers; those of {broken:,} of {len(logits):,} faces are not.")
    if not known.any():
        raise ValueError("A probability needs a known expression, found none.")
    masked = np.where(known, logits.astype(np.float64), -np.inf)
    powers = np.exp(masked - masked.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _confidence(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Each face's highest probability, and whether it is the true expression's."""
    refuse_no_faces(truth)
    return np.minimum(probabilities.max(axis=1), 1), probabilities.argmax(axis=1) == truth
