"""The faces on maps of features, and their places.

A map is a t-SNE, which takes seconds: positions are kept in `cache/maps/`, by a key of everything that affects them.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from fercache.errors import FercacheError
from fercache.identity import key_of, seed_from
from fercache.records import MAIN, Record, predictions_path
from fercache.reporting.boards import Board
from fercache.reporting.predictions import known_to_target
from fercache.reporting.report import Report
from fercache.reporting.sections._leader import leader
from fercache.reporting.table_rows import Method
from fercache.runtime.progress import progress
from fercache.scoring.metrics import predict
from fercache.store.atomic import replacing
from fercache.store.runs import read_predictions

MOST = 1500
"""The largest number of faces on a map, shared evenly by the targets: still legible, and placed in ten seconds."""
LEAST = 50
"""The smallest number of faces for a map."""
COMPONENTS, PERPLEXITY, SEED = 50, 30, 0
NEIGHBOURS = 10
VERSION = 1
"""Version of the placement; another one recreates all maps."""

_DAMAGED = (OSError, ValueError, KeyError, EOFError, BadZipFile)
"""Errors of reading a missing or damaged map."""


@dataclass(frozen=True)
class Sampled:
    """N faces of several domains, before and after the head.

    `expression`, `predicted` and `domain` (N,) index their names; `targets` are the domains' datasets.
    """

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    id: NDArray[np.object_]
    expression: NDArray[np.int64]
    predicted: NDArray[np.int64]
    domain: NDArray[np.int64]
    expressions: tuple[str, ...]
    domains: tuple[str, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """The places of N faces, (N, 2), and the rows of their nearest neighbours before placement, (N, K)."""

    places: NDArray[np.float32]
    neighbours: NDArray[np.int16]


@dataclass(frozen=True)
class Placed:
    """Faces of all targets of a board, placed by the features and by the outputs of its leading method's first seed."""

    board: Board
    method: Method
    seed: int
    sampled: Sampled
    before: Layout
    after: Layout


def report_places(report: Report) -> list[Placed]:
    """Those of each board whose leading method has features in its predictions. They take long: `Report.once`."""
    return placed_faces(report.records, report.boards, report.cache) if report.cache else []


def placed_faces(records: Sequence[Record], boards: Sequence[Board], cache: Path) -> list[Placed]:
    """As `report_places`."""
    with progress("maps of features", len(boards), "board") as bar:
        found = []
        for board in boards:
            found.append(_placed_on(board, records, cache))
            bar.update()
    return [each for each in found if each]


def _placed_on(board: Board, records: Sequence[Record], cache: Path) -> Placed | None:
    leading = leader(board, records)
    if leading is None:
        return None
    every = [record for some in leading.records.values() for record in some]
    seed = min(record.seed for record in every)
    sampled = sample([record for record in every if record.seed == seed], cache)
    if sampled is None:
        return None
    spread = sampled.after.std(axis=0)
    standardised = (sampled.after - sampled.after.mean(axis=0)) / np.where(spread > 0, spread, 1)
    with ThreadPoolExecutor(2) as pool:
        before, after = pool.map(partial(place, cache=cache), (sampled.before, standardised))
    return Placed(board, leading.method, seed, sampled=sampled, before=before, after=after)


def sample(records: Sequence[Record], cache: Path) -> Sampled | None:
    """Faces of one run's targets, sampled evenly with a fixed seed; None if they are too few, or all the same."""
    # In an order that does not depend on the source, so that boards of one encoder share the map before the head.
    of_label = {record.target_label: record for record in sorted(records, key=lambda record: record.target_label)}
    read = {
        label: read_predictions(path) for label, record in of_label.items() if (path := _path(record, cache)).is_file()
    }
    read = {label: predictions for label, predictions in read.items() if predictions.features.size}
    chosen = {label: _chosen(each.truth[each.sample], MOST // len(read), label) for label, each in read.items()}
    if sum(map(len, chosen.values())) < LEAST:
        return None
    rows = {label: each.sample[chosen[label]] for label, each in read.items()}
    expressions = next(iter(read.values())).expressions
    answers = [
        predict(each.logits[MAIN][rows[label]], expressions, known_to_target(of_label[label]))
        for label, each in read.items()
    ]
    sampled = Sampled(
        before=np.concatenate([each.features[chosen[label]] for label, each in read.items()]).astype(np.float32),
        after=np.concatenate([each.logits[MAIN][rows[label]] for label, each in read.items()]),
        id=np.concatenate([each.id[rows[label]] for label, each in read.items()]),
        expression=np.concatenate([each.truth[rows[label]] for label, each in read.items()]),
        predicted=np.concatenate(answers),
        domain=np.repeat(np.arange(len(read)), [len(of) for of in rows.values()]),
        expressions=expressions,
        domains=tuple(read),
        targets=tuple(of_label[label].target for label in read),
    )
    return sampled if _differ(sampled.before) and _differ(sampled.after) else None


def _differ(vectors: NDArray[np.float32]) -> bool:
    """Whether the vectors are finite and differ; scikit-learn crashes otherwise."""
    return bool(np.isfinite(vectors).all() and np.ptp(vectors, axis=0).any())


def _path(record: Record, cache: Path) -> Path:
    return predictions_path(cache / "runs" / record.run, record)


def _chosen(truth: NDArray[np.int64], count: int, label: str) -> NDArray[np.int64]:
    """`count` rows, or all if there are fewer, stratified by expression."""
    shuffled = np.random.default_rng(seed_from("map", label)).permutation(len(truth))
    grouped = shuffled[np.argsort(truth[shuffled], kind="stable")]
    evenly = np.linspace(0, len(truth) - 1, min(count, len(truth))).round().astype(np.int64)
    return np.sort(grouped[evenly])


def place(vectors: NDArray[np.float32], cache: Path) -> Layout:
    """The t-SNE of vectors (N, D), computed once and kept in `cache`."""
    what = {
        "vectors": sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest(),
        "shape": list(vectors.shape),
        "settings": [COMPONENTS, PERPLEXITY, SEED, NEIGHBOURS, VERSION],
    }
    path = cache / "maps" / f"{key_of(what)[:16]}.npz"
    with suppress(*_DAMAGED), np.load(path) as kept:
        return Layout(kept["places"], kept["neighbours"])
    layout = _place(vectors)
    with suppress(FercacheError), replacing(path) as temporary, temporary.open("wb") as stream:
        # If it cannot be written, the map is computed again next time.
        np.savez(stream, places=layout.places, neighbours=layout.neighbours)
    return layout


def _place(vectors: NDArray[np.float32]) -> Layout:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # more threads are hardly faster, and many times slower on a busy machine
        if vectors.shape[1] > COMPONENTS:
            vectors = PCA(min(COMPONENTS, len(vectors)), random_state=SEED).fit_transform(vectors)
        perplexity = min(PERPLEXITY, (len(vectors) - 1) // 3)
        places = TSNE(init="pca", perplexity=perplexity, random_state=SEED).fit_transform(vectors)
        neighbours = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(vectors).kneighbors(return_distance=False)
    return Layout(places.astype(np.float32), neighbours.astype(np.int16))
