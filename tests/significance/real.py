"""Real runs of one method with many seeds, of which two disjoint draws are compared as if they were two methods."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fercache.records import METRICS, find_records, read_record
from fercache.reporting.predictions import Reader, by_cell, class_numbers, shared_faces
from fercache.scoring.comparison import Runs, difference, face_units
from tests.significance.resampled import p_of_faces_alone

HEAD, SOURCE = "sigmoid-mask", "synthetic:studio"


@dataclass(frozen=True)
class Pool:
    """What all seeds of the method read of a target in one way: `right` (S, N), of the expressions `truth` (N,)."""

    target: str
    readout: str
    right: NDArray[np.float64]
    truth: NDArray[np.int64]


@dataclass(frozen=True)
class Share:
    """How often p was below 0.05, in percent, and its standard error: a jackknife over the seeds of the pool."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.1f} ±{self.error:.1f}"


def pools(cache: Path) -> Iterator[Pool]:
    """One per target and readout of the runs that the `cache` has of the method, all of one method key."""
    records = [record for path in find_records(cache) if (record := read_record(path)).head == HEAD]
    records = [record for record in records if record.source == SOURCE != record.target]
    reader = Reader(cache)
    for (_, target), seeds in sorted(by_cell(records).items()):
        for readout in seeds[0].scores:
            faces = shared_faces([reader.faces(record, readout) for record in seeds])
            right = np.array([each.right for each in faces], dtype=np.float64)
            yield Pool(target, readout, right, class_numbers(faces[0].truth))


def shares(
    pool: Pool, metric: Literal["accuracy", "mean_class_recall"], seeds: int, draws: int, number: int = 0
) -> tuple[Share, Share]:
    """Of so many draws of `seeds` against `seeds`: the test of before, and the present one."""
    generator = np.random.default_rng(number)
    units, size = face_units(pool.truth, metric), len(pool.right)
    chosen = np.array([generator.permutation(size)[: 2 * seeds] for _ in range(draws)])
    before, now = np.zeros(draws), np.zeros(draws)
    for i, drawn in enumerate(chosen):
        a, b = pool.right[drawn[:seeds]], pool.right[drawn[seeds:]]
        gain = a.mean(axis=0) - b.mean(axis=0)
        before[i] = p_of_faces_alone(gain, pool.truth, metric, generator) < 0.05
        now[i] = difference(Runs(a), Runs(b), units).p < 0.05
    return _share(before, chosen, size), _share(now, chosen, size)


def _share(rejected: NDArray[np.float64], chosen: NDArray[np.int64], size: int) -> Share:
    """Draws of one pool share seeds: each seed is left out once, with all draws that have it."""
    without = np.array([rejected[~(chosen == seed).any(axis=1)].mean() for seed in range(size)])
    error = np.sqrt((size - 1) / size * ((without - without.mean()) ** 2).sum())
    return Share(100 * float(rejected.mean()), 100 * float(error))


def table(cache: Path, draws: int) -> Iterator[str]:
    """Lines of Markdown: a row per target, readout and metric."""
    yield "| target | readout | metric | 3 seeds, before | now | 5 seeds, before | now |"
    yield "|---|---|---|---|---|---|---|"
    for pool in pools(cache):
        for metric in METRICS:
            cells = [str(share) for seeds in (3, 5) for share in shares(pool, metric, seeds, draws)]
            yield f"| {pool.target} | {pool.readout} | {metric} | " + " | ".join(cells) + " |"
