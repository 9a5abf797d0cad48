"""Prints how often intervals hold the truth, in percent: the bootstrap of before, and those of now. Some three minutes.

`python -m tests.coverage calibration` prints one of the tables alone.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from fercache.scoring.calibration import calibration
from fercache.scoring.intervals import Interval, score_intervals
from tests.coverage.bootstrap import bootstrap, bootstrap_subjects
from tests.coverage.designs import (
    MIXES,
    RECALLS,
    SHARPENED,
    SIZES,
    SUBJECTS,
    draw_confidences,
    draw_faces,
    draw_mix,
    draw_subjects,
    plain_ece,
)

DRAWS, BEFORE = 1000, 200
"""Of faces: for the intervals of now, and for the bootstrap, of which each has 200 of its own."""


def share(found: Iterable[tuple[Interval, float]]) -> str:
    """Of intervals that hold the truth beside them, in percent."""
    return f"{100 * np.mean([low - 1e-9 <= truth <= high + 1e-9 for (low, high), truth in found]):.0f}"


def recalls() -> Iterable[list[str]]:
    yield ["faces of 7 expressions", "recall", "bootstrap", "now"]
    for size, support in SIZES.items():
        for named, recall in RECALLS.items():
            drawn = [draw_faces(support, recall, np.random.default_rng(seed)) for seed in range(DRAWS)]
            true = float(np.mean(recall))
            old = ((bootstrap(each.mean_class_recall, each.truth, 0), true) for each in drawn[:BEFORE])
            new = ((score_intervals(each.truth, each.predicted)["mean_class_recall"], true) for each in drawn)
            yield [size, named, share(old), share(new)]


def accuracies() -> Iterable[list[str]]:
    yield ["mix", "recall", "given the mix: bootstrap", "now", "faces drawn: bootstrap", "now, conditional", "now"]
    for mix, support in MIXES.items():
        for named, recall in RECALLS.items():
            true = float(np.average(recall, weights=support))
            cells = []
            for varied in (False, True):
                generator, drawn = np.random.default_rng(1), []
                for _ in range(DRAWS):
                    drawn.append(draw_faces(draw_mix(support, generator) if varied else support, recall, generator))
                cells.append(share((bootstrap(each.accuracy, each.truth, 0), true) for each in drawn[:BEFORE]))
                found = [score_intervals(each.truth, each.predicted) for each in drawn]
                names = ("accuracy", "accuracy_unconditional")[: 1 + varied]
                cells += [share((each[name], true) for each in found) for name in names]
            yield [mix, named, *cells]


def people() -> Iterable[list[str]]:
    yield ["subjects", "recall", "alike", "accuracy: bootstrap", "now", "mean class recall: bootstrap", "now"]
    for subjects in SUBJECTS:
        for recall in (0.5, 0.9, 0.99):
            for alike in (0.05, 0.2, 0.5):
                generator = np.random.default_rng(2)
                drawn = [draw_subjects(subjects, recall, alike, generator) for _ in range(DRAWS)]
                found = [score_intervals(each.truth, each.predicted, each.names) for each in drawn]
                old = [
                    share((bootstrap_subjects(score(each), each.subject, 0), recall) for each in drawn[: BEFORE // 2])
                    for score in (lambda each: each.accuracy, lambda each: each.mean_class_recall)
                ]
                new = [
                    share((each[name], recall) for each in found)
                    for name in ("accuracy_unconditional", "mean_class_recall")
                ]
                yield [str(subjects), str(recall), str(alike), old[0], new[0], old[1], new[1]]


def _ece(likely: NDArray[np.float64], truth: NDArray[np.int64], rows: NDArray[np.int64]) -> float:
    return plain_ece(likely[rows], truth[rows])


def calibrations() -> Iterable[list[str]]:
    yield ["confidence", "faces", "subjects", "error", "mean ECE found", "bootstrap", "now", "mean interval"]
    for named, sharpened in SHARPENED.items():
        likely, truth, _ = draw_confidences(400_000, sharpened, np.random.default_rng(3))
        true = plain_ece(likely, truth)
        for faces, subjects in ((30, 0), (100, 0), (400, 0), (2000, 0), (400, 15)):
            generator = np.random.default_rng(4)
            drawn = [draw_confidences(faces, sharpened, generator, subjects) for _ in range(DRAWS // 5)]
            names = [np.array([f"p{each}" for each in of[2]], dtype=object) if subjects else None for of in drawn]
            found = [calibration(*of[:2], each) for of, each in zip(drawn, names, strict=True)]
            old = []
            for likely, truth, subject in drawn[: BEFORE // 5]:
                strata = subject if subjects else np.zeros(faces, dtype=np.int64)
                resampled: Callable[..., Interval] = bootstrap_subjects if subjects else bootstrap
                old.append((resampled(partial(_ece, likely, truth), strata, 0), true))
            limits = np.mean([each.interval for each in found], axis=0)
            now = share((each.interval, true) for each in found)
            ece = f"{np.mean([each.ece for each in found]):.3f}"
            interval = f"{limits[0]:.3f} to {limits[1]:.3f}"
            yield [named, f"{faces:,}", str(subjects or "-"), f"{true:.3f}", ece, share(old), now, interval]


def print_table(title: str, rows: Iterable[Sequence[str]]) -> None:
    print(f"\n{title}\n")
    for number, row in enumerate(rows):
        print("| " + " | ".join(row) + " |", flush=True)
        if number == 0:
            print("|" + "---|" * len(row), flush=True)


TABLES = {
    "recall": ("Mean class recall.", recalls),
    "accuracy": ("Accuracy, on 140 faces of 7 expressions.", accuracies),
    "subjects": (f"Over subjects, of some ten faces each (bootstrap: {BEFORE // 2} draws).", people),
    "calibration": (f"Expected calibration error ({DRAWS // 5} draws, bootstrap {BEFORE // 5}).", calibrations),
}


def main(wanted: Sequence[str]) -> None:
    now, before = (100 * sqrt(0.05 * 0.95 / draws) for draws in (DRAWS, BEFORE))
    print(f"Percent of 95 % intervals that hold the truth, in {DRAWS:,} draws (standard error {now:.1f}), ", end="")
    print(f"of the bootstrap in {BEFORE} ({before:.1f}), unless said otherwise.")
    for name in wanted or TABLES:
        title, rows = TABLES[name]
        print_table(title, rows())


if __name__ == "__main__":
    main(sys.argv[1:])
