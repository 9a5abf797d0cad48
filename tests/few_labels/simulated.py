"""Draws labels again and again from a target whose labels are known, and compares intervals with the truth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fercache.scoring.few_labels import LabelledSample, estimate_scores
from fercache.scoring.intervals import score_intervals, wilson
from fercache.scoring.label_design import draw, inclusion_probabilities, strata

SCORES = ("accuracy", "mean_class_recall")


@dataclass(frozen=True)
class Known:
    """A target with known labels: `truth` (N,), the `posterior` (N, L), and the `answers` (R, N) of R runs."""

    truth: NDArray[np.int64]
    posterior: NDArray[np.float64]
    answers: NDArray[np.int64]

    def scores(self, run: int) -> dict[str, float]:
        right = self.answers[run] == self.truth
        recalls = [right[self.truth == each].mean() for each in np.unique(self.truth)]
        return {"accuracy": float(right.mean()), "mean_class_recall": float(np.mean(recalls))}


@dataclass(frozen=True)
class Simulated:
    """Of each score: how often the interval covers the truth, its mean width, and the mean error, of a designed sample
    and of a random one."""

    coverage: dict[str, float]
    width: dict[str, float]
    bias: dict[str, float]
    random_coverage: dict[str, float]
    random_width: dict[str, float]


def simulate(known: Known, run: int, count: int, *, level: float, draws: int) -> Simulated:
    """`draws` samples of `count` labels. The random samples have the intervals that fercache gives them otherwise."""
    inclusion = inclusion_probabilities(known.posterior, known.answers, count)
    stratum = strata(known.posterior.argmax(axis=1), known.posterior.max(axis=1))
    answers, truth, generator = known.answers[run], known.scores(run), np.random.default_rng(0)
    found: dict[str, list[list[float]]] = {f"{kind}{score}": [] for kind in ("", "random ") for score in SCORES}
    for seed in range(draws):
        row = draw(inclusion, stratum, seed)
        sample = LabelledSample(row, known.truth[row], inclusion[row], stratum=stratum[row])
        for score, estimate in estimate_scores(sample, answers, known.posterior, level).items():
            found[score].append([*estimate.interval, estimate.value])
        row = generator.choice(len(answers), count, replace=False)
        right = (answers[row] == known.truth[row]).mean()
        low, high = wilson(right, count / (1 - count / len(answers)), level)
        found["random accuracy"].append([float(low), float(high), right])
        found["random mean_class_recall"].append(
            [*score_intervals(known.truth[row], answers[row], level=level)["mean_class_recall"], np.nan]
        )
    limits = {name: np.array(rows).T for name, rows in found.items()}

    def of(kind: str, measure: str) -> dict[str, float]:
        result = {}
        for score in SCORES:
            low, high, value = limits[kind + score]
            covered = (low <= truth[score]) & (truth[score] <= high)
            result[score] = float({"cover": covered, "width": high - low, "bias": value - truth[score]}[measure].mean())
        return result

    return Simulated(of("", "cover"), of("", "width"), of("", "bias"), of("random ", "cover"), of("random ", "width"))
