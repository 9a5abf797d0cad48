"""Large feature tables made from a small one: mixtures of two faces of an expression, noise, and planted copies."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.identity import canonical_json, key_of
from fercache.store.atomic import replacing
from fercache.store.schema import CLEAN
from fercache.store.sealed import Slot, pack, write_sealed
from fercache.store.tables import TABLE, FeatureTable, table_path

BLOCK = 50_000
NOISE = 0.5
"""Standard deviation of the noise, in those of the small table's channels."""
COPIED = 1000
"""Planted copies of each kind: of identical pixels, and with slightly other features."""
CHANGED = 0.02
"""Noise of a slightly changed copy, in standard deviations of the channels."""
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
    width = len(_name(rows))
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
        write_sealed(stream, TABLE, attributes, slots=slots, parts=_blocks(small, rows))
    return path


def planted(rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Originals among the first rows, and their copies, the last ones: identical ones, then slightly changed ones."""
    return np.arange(2 * COPIED) * 7, np.arange(rows - 2 * COPIED, rows)


def _blocks(small: FeatureTable, rows: int) -> Iterator[Mapping[str, NDArray[Any]]]:
    features = small.columns.features[CLEAN][:].astype(np.float32)
    label = small.columns.label.astype(np.int64)
    of_label = [np.flatnonzero(label == each) for each in np.unique(label)]
    spread = features.std(axis=0)
    originals, copies = planted(rows)
    kept: dict[int, NDArray[np.float32]] = {}
    digests: dict[int, NDArray[np.uint8]] = {}
    for start in range(0, rows, BLOCK):
        numbers = np.arange(start, min(start + BLOCK, rows))
        random = np.random.default_rng([rows, start])
        chosen = random.integers(len(of_label), size=len(numbers))
        pairs = np.stack([_some(random, of_label[each], 2) for each in chosen])
        share = random.uniform(size=(len(numbers), 1)).astype(np.float32)
        made = share * features[pairs[:, 0]] + (1 - share) * features[pairs[:, 1]]
        made += random.standard_normal(made.shape, np.float32) * NOISE * spread
        pixels = np.stack([np.frombuffer(hashlib.sha256(_name(n).encode()).digest(), np.uint8) for n in numbers])
        for place in np.flatnonzero(np.isin(numbers, originals)):
            kept[int(numbers[place])], digests[int(numbers[place])] = made[place].copy(), pixels[place].copy()
        for place in np.flatnonzero(numbers >= copies[0]):
            of = int(originals[numbers[place] - copies[0]])
            identical = numbers[place] - copies[0] < COPIED
            noise = 0 if identical else random.standard_normal(len(spread), np.float32) * CHANGED * spread
            made[place] = kept[of] + noise
            pixels[place] = digests[of] if identical else pixels[place]
        yield {
            **pack(
                {
                    "id": np.array([_name(n) for n in numbers], dtype=object),
                    "split": np.array([SPLITS[n % len(SPLITS)] for n in numbers], dtype=object),
                    **{name: np.full(len(numbers), "", dtype=object) for name in ("subject", "group")},
                }
            ),
            "label": label[pairs[:, 0]].astype(np.int16),
            "file_sha256": pixels,
            "pixel_sha256": pixels,
            f"features/{CLEAN}": made.astype(np.float16),
        }


def _some(random: np.random.Generator, rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return rows[random.integers(len(rows), size=count)]


def _name(row: int) -> str:
    return f"faces/{row:010d}.jpg"
