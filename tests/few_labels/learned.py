"""`python -m tests.few_labels.learned --cache CACHE`: what a probe learns from faces of `suggest --for training`.

A logistic regression on normalised features learns from these faces alone, and is scored on all others of the target.
"""

import argparse
from pathlib import Path

import numpy as np

from fercache.scoring.label_design import worth_learning
from fercache.settings import Settings
from tests.few_labels.simulated import Known
from tests.few_labels.targets import TARGETS, known_of

COUNTS = (14, 28, 56, 112)
SEEDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    given = parser.parse_args()
    print(f"accuracy / mean class recall in percent, mean of {SEEDS} seeds: suggested [random]")
    for target in TARGETS:
        committee, known, kept = known_of(Settings(cache=given.cache), target)
        features = committee.features[kept].astype(np.float64)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        cells = [f"{count}: {_cell(features, known, count)}" for count in COUNTS]
        print(f"{target:18} {', '.join(cells)}", flush=True)


def _cell(features: np.ndarray, known: Known, count: int) -> str:
    suggested = [worth_learning(features, known.posterior, count, seed) for seed in range(SEEDS)]
    drawn = [np.random.default_rng(seed).choice(len(features), count, replace=False) for seed in range(SEEDS)]
    ours, random = (np.mean([_scores(features, known, each) for each in rows], axis=0) for rows in (suggested, drawn))
    return "{:.1f} / {:.1f} [{:.1f} / {:.1f}]".format(*(100 * ours), *(100 * random))


def _scores(features: np.ndarray, known: Known, rows: np.ndarray) -> tuple[float, float]:
    from sklearn.linear_model import LogisticRegression

    others = np.setdiff1d(np.arange(len(features)), rows)
    truth = known.truth[others]
    probe = LogisticRegression(C=100, max_iter=300).fit(features[rows], known.truth[rows])
    right = probe.predict(features[others]) == truth
    return float(right.mean()), float(np.mean([right[truth == each].mean() for each in np.unique(truth)]))


if __name__ == "__main__":
    main()
