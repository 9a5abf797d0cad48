"""How sure a score is, how well confidence tells right from wrong, and whether a difference is more than chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Metric = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""From confusion matrices (..., L, L) to values (...): `metrics.accuracy`, `metrics.uar`, `metrics.macro_f1`."""

_DRAWN_AT_ONCE = 1_000_000
"""Numbers that are held at once where subjects are drawn: some 20 MB."""


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


@dataclass(frozen=True)
class Difference:
    """A difference between two methods, its bootstrap interval, and the two-sided p of there being none."""

    value: float
    low: float
    high: float
    p: float


def bootstrap_interval(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    metric: Metric,
    *,
    seed: int,
    subjects: NDArray[np.object_] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
) -> tuple[float, float]:
    """The percentile bootstrap interval of `metric`.

    It is stratified by class, each keeps its number of faces; or, with `subjects` (N,), it draws whole subjects, since
    faces of one person are alike. Faces whose subject is "" are each their own. `truth` and `predicted` (N,) index the
    same classes. Raises ValueError without faces.
    """
    _refuse_no_faces(truth)
    classes = int(max(truth.max(), predicted.max())) + 1
    cells = truth * classes + predicted
    generator = np.random.default_rng(seed)
    if subjects is None:
        counts = np.bincount(cells, minlength=classes**2).reshape(classes, classes)
        resampled = _resampled_rows(counts, generator, resamples)
    else:
        # Counts below 2**24 are exact in float32, and products of such matrices are twice as fast.
        tables = _sums_by_subject(subjects, cells, classes**2).astype(np.float32)
        resampled = _resampled_sums(tables, generator, resamples).astype(np.int64).reshape(-1, classes, classes)
    return _interval(metric(resampled), level)


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


def mcnemar(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> float:
    """The exact two-sided p of McNemar's test: among faces that one method alone has right, is either ahead?"""
    from scipy.stats import binomtest

    only_a, only_b = np.count_nonzero(right_a & ~right_b), np.count_nonzero(right_b & ~right_a)
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def paired_difference(
    gain: NDArray[np.float64],
    truth: NDArray[np.int64],
    metric: Literal["accuracy", "uar"],
    *,
    seed: int,
    subjects: NDArray[np.object_] | None = None,
    resamples: int = 10_000,
    level: float = 0.95,
) -> Difference:
    """The difference in `metric` between two methods on the same faces, with a percentile bootstrap.

    `gain` (N,) is how much more often the first method was right on a face than the second, from -1 to 1: averaged
    over seeds. What is drawn is what `bootstrap_interval` draws: faces of a class, or whole `subjects`. Raises
    ValueError without faces.
    """
    _refuse_no_faces(truth)
    _, class_of, support = np.unique(truth, return_inverse=True, return_counts=True)
    generator = np.random.default_rng(seed)
    if subjects is None:
        sums = np.stack([_resampled_gain(gain[class_of == k], generator, resamples) for k in range(len(support))], 1)
        faces = np.broadcast_to(support, sums.shape)
    else:
        of_class = [_sums_by_subject(subjects, class_of, len(support), weights) for weights in (None, gain)]
        faces, sums = np.split(_resampled_sums(np.hstack(of_class), generator, resamples), 2, axis=1)
    # Sums of gains that cancel are not quite zero; and zero has no sign.
    values = np.round(_mean_gain(sums, faces, metric), 12) + 0.0
    low, high = _interval(values, level)
    total = np.bincount(class_of, gain).astype(np.float64)
    (value,) = _mean_gain(total[None], support[None], metric)
    as_far = min(np.count_nonzero(values <= 0), np.count_nonzero(values >= 0))
    return Difference(float(value), low, high, float(min(1, 2 * (1 + as_far) / (1 + resamples))))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """The p values adjusted for there being several, by Holm's step-down method, in their order."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return tuple(map(float, adjusted))


def label_shuffle_test(
    vectors: NDArray[np.floating], truth: NDArray[np.int64], *, seed: int, shuffles: int = 999
) -> tuple[float, float, float]:
    """Whether the expressions' mean vectors lie further apart than chance would put them: (distance, null_mean, p).

    `vectors` (N, D) of faces whose expressions are `truth` (N,). `distance` is the mean Euclidean distance over all
    pairs of expressions with faces, `null_mean` its mean over the shuffles of the labels, and `p` the share of
    labellings, the true one among them, that are at least as far apart. Raises ValueError when fewer than two
    expressions have faces.
    """
    present, labels = np.unique(truth, return_inverse=True)
    if len(present) < 2:
        raise ValueError(f"A distance between expressions needs faces of two of them, found {len(present)}.")
    # Distances stay as they are, small differences between large numbers keep their digits, and equal vectors are 0.
    centred = (vectors - vectors.mean(axis=0, dtype=np.float64)).astype(np.float32)
    (distance,) = _mean_distances(centred, labels[None])
    generator = np.random.default_rng(seed)
    null = np.concatenate(
        [
            _mean_distances(centred, generator.permuted(np.tile(labels, (count, 1)), axis=1))
            for count in _batches(shuffles, size=32)
        ]
    )
    # A shuffle that changes nothing is as far, though its sums round differently.
    as_far = int(np.count_nonzero(null >= distance * (1 - 1e-5)))
    return float(distance), float(null.mean()), (1 + as_far) / (1 + shuffles)


def _refuse_no_faces(truth: NDArray[np.int64]) -> None:
    if len(truth) == 0:
        raise ValueError("There is no face to measure on.")


def _interval(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _confidence(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Each face's highest probability, and whether it is the true expression's."""
    _refuse_no_faces(truth)
    return np.minimum(probabilities.max(axis=1), 1), probabilities.argmax(axis=1) == truth


def _resampled_rows(counts: NDArray[np.int64], generator: np.random.Generator, resamples: int) -> NDArray[np.int64]:
    """(K, V) faces by class and outcome -> (resamples, K, V): drawing a class's faces is a multinomial draw."""
    resampled = np.zeros((resamples, *counts.shape), dtype=np.int64)
    for k, row in enumerate(counts):
        if row.any():
            resampled[:, k] = generator.multinomial(row.sum(), row / row.sum(), size=resamples)
    return resampled


def _resampled_gain(gain: NDArray[np.float64], generator: np.random.Generator, resamples: int) -> NDArray[np.float64]:
    """(resamples,) sums of the gains of a class's faces, drawn with replacement."""
    values, counts = np.unique(gain, return_counts=True)
    return np.asarray(_resampled_rows(counts[None], generator, resamples)[:, 0] @ values)


def _sums_by_subject(
    subjects: NDArray[np.object_], column: NDArray[np.int64], columns: int, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """(S, columns) faces of each subject in each `column` (N,), or the sums of their weights."""
    unnamed = subjects == ""
    names, subject = np.unique(subjects.astype(str), return_inverse=True)
    subject[unnamed] = len(names) + np.arange(np.count_nonzero(unnamed))
    _, subject = np.unique(subject, return_inverse=True)  # the unnamed have left an empty one behind
    rows = int(subject.max()) + 1
    sums = np.bincount(subject * columns + column, weights, minlength=rows * columns)
    return sums.reshape(rows, columns).astype(np.float64)


def _resampled_sums(
    table: NDArray[np.floating], generator: np.random.Generator, resamples: int
) -> NDArray[np.floating]:
    """(S, D) -> (resamples, D): each the sum of S rows that are drawn with replacement."""
    kinds, alike = np.unique(table, axis=0, return_counts=True)
    # Subjects with one face are of few kinds, and drawn faster by how often each kind comes than one by one.
    few = 10 * len(kinds) < len(table)
    rows = kinds if few else table
    batches = []
    for count in _batches(resamples, size=max(1, _DRAWN_AT_ONCE // len(rows))):
        if few:
            times = generator.multinomial(len(table), alike / len(table), size=count)
        else:
            drawn = (generator.integers(len(table), size=len(table)) for _ in range(count))
            times = np.array([np.bincount(each, minlength=len(table)) for each in drawn])
        batches.append(times.astype(table.dtype) @ rows)
    return np.concatenate(batches)


def _mean_gain(
    sums: NDArray[np.float64], faces: NDArray[np.number], metric: Literal["accuracy", "uar"]
) -> NDArray[np.float64]:
    """(R, K) sums of gains, and faces, by class -> (R,) mean over faces, or over the classes that have some."""
    if metric == "accuracy":
        return np.asarray(sums.sum(axis=1) / faces.sum(axis=1))
    return np.asarray((sums / np.maximum(faces, 1)).sum(axis=1) / np.count_nonzero(faces, axis=1))


def _batches(total: int, size: int) -> list[int]:
    """How many there are in each batch: memory is bounded, and products of matrices stay large enough to be fast."""
    return [min(size, total - start) for start in range(0, total, size)]


def _mean_distances(vectors: NDArray[np.float32], labellings: NDArray[np.int64]) -> NDArray[np.float64]:
    """(S, N) labellings of (N, D) vectors, each with the same L labels -> (S,) mean distance between the L means."""
    counts = np.bincount(labellings[0])
    members = labellings[:, None, :] == np.arange(len(counts))[:, None]
    sums = members.reshape(-1, len(vectors)).astype(np.float32) @ vectors
    means = sums.reshape(len(labellings), len(counts), -1) / counts[:, None]
    one, other = np.triu_indices(len(counts), k=1)
    distances: NDArray[np.float64] = np.linalg.norm(means[:, one] - means[:, other], axis=2).mean(axis=1)
    return distances
