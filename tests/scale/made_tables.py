"""Large feature tables with the means and covariance of a small one, and planted copies."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.identity import canonical_json, key_of
from fercache.store.atomic import replacing
from fercache.store.copies import copies_path, read_copies, write_copies
from fercache.store.schema import CLEAN
from fercache.store.sealed import Slot, pack, write_sealed
from fercache.store.tables import TABLE, FeatureTable, table_path

BLOCK = 50_000
IDENTICAL, CHANGED = 250, 500
"""Copies of rows of the first block, at the end of each later block: of identical pixels, and slightly changed ones."""
SPLITS = ("train",) * 8 + ("validation", "test")


def make_table(cache: Path, small: FeatureTable, rows: int) -> Path:
    """Writes the table `folder:scale-<rows>`, in half precision: 80 % train, 10 % validation, 10 % test."""
    identity = {**small.identity, "dataset": f"folder:scale-{rows}", "manifest": f"made of {small.key}"}
    path = table_path(cache, str(small.provenance["encoder"]), f"folder-scale-{rows}", key_of(identity))
    if path.exists():
        return path
    attributes = {
        "key": key_of(identity),
        "identity": canonical_json(identity),
        "provenance": canonical_json({**small.provenance, "seen": []}),
        "classes": canonical_json(small.classes),
        "vote_columns": canonical_json([]),
        "quarantined": 0,
    }
    dimension = small.columns.features[CLEAN].shape[1]
    width = len(name_of(rows))
    slots = {
        "id": Slot((rows,), np.dtype(f"S{width}")),
        "split": Slot((rows,), np.dtype("S10")),
        **{name: Slot((rows,), np.dtype("S1")) for name in ("subject", "group")},
        "label": Slot((rows,), np.dtype("<i2")),
        **{name: Slot((rows, 32), np.dtype("u1")) for name in ("file_sha256", "pixel_sha256")},
        f"features/{CLEAN}": Slot((rows, dimension), np.dtype("<f2")),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as stream:
        write_sealed(stream, TABLE, attributes, slots=slots, parts=_blocks(small, _deviations(small), rows))
    write_copies(copies_path(path), key_of(identity), read_copies(copies_path(small.path)))
    return path


def planted(rows: int) -> NDArray[np.int64]:
    """(P, 2) Originals and their copies."""
    pairs = [np.stack([_originals(rows, begin), _copies(rows, begin)], axis=1) for begin in range(BLOCK, rows, BLOCK)]
    return np.concatenate([np.empty((0, 2), np.int64), *pairs])


def _copies(rows: int, begin: int) -> NDArray[np.int64]:
    end = min(begin + BLOCK, rows)
    return np.arange(end - IDENTICAL - CHANGED, end)


def _originals(rows: int, begin: int) -> NDArray[np.int64]:
    return np.random.default_rng([rows, begin, 1]).permutation(BLOCK)[: IDENTICAL + CHANGED]


def _deviations(small: FeatureTable) -> NDArray[np.float32]:
    """(S, D) by how much features of re-compressed and reduced images differ from those of the images."""
    copies = read_copies(copies_path(small.path))
    return np.concatenate([changed - copies.original for changed in copies.changed.values()]).astype(np.float32)


def _blocks(small: FeatureTable, deviations: NDArray[np.float32], rows: int) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Normal distributions around the small table's expressions, with its covariance within them."""
    features, label = small.columns.features[CLEAN][:].astype(np.float64), small.columns.label.astype(np.int64)
    means = np.stack([features[label == each].mean(axis=0) for each in range(len(small.classes))])
    covariance = np.cov(features - means[label], rowvar=False)
    factor = np.linalg.cholesky(covariance + 1e-6 * np.trace(covariance) / len(covariance) * np.eye(len(covariance)))
    first: tuple[NDArray[Any], ...] = ()
    for begin in range(0, rows, BLOCK):
        numbers = np.arange(begin, min(begin + BLOCK, rows))
        random = np.random.default_rng([rows, begin])
        chosen = random.integers(len(means), size=len(numbers))
        made = random.standard_normal((len(numbers), len(factor)), np.float32) @ factor.T.astype(np.float32)
        made += means[chosen].astype(np.float32)
        pixels = np.stack([np.frombuffer(hashlib.sha256(name_of(n).encode()).digest(), np.uint8) for n in numbers])
        if not begin:
            first = made.copy(), chosen.copy(), pixels.copy()
        else:
            of, copies = _originals(rows, begin), _copies(rows, begin) - begin
            made[copies], chosen[copies] = first[0][of], first[1][of]
            pixels[copies[:IDENTICAL]] = first[2][of[:IDENTICAL]]
            made[copies[IDENTICAL:]] += deviations[random.integers(len(deviations), size=CHANGED)]
        yield {
            **pack(
                {
                    "id": np.array([name_of(n) for n in numbers], dtype=object),
                    "split": np.array([SPLITS[n % len(SPLITS)] for n in numbers], dtype=object),
                    **{name: np.full(len(numbers), "", dtype=object) for name in ("subject", "group")},
                }
            ),
            "label": chosen.astype(np.int16),
            "file_sha256": pixels,
            "pixel_sha256": pixels,
            f"features/{CLEAN}": made.astype(np.float16),
        }


def name_of(row: int) -> str:
    """The id of a row."""
    return f"faces/{row:010d}.jpg"
