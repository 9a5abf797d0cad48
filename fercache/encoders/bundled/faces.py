"""The faces that the bundled encoder is trained and scored on: FERPlus and synthetic ones."""

import csv
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fercache.encoders.bundled.captions import indices_of, values_of
from fercache.errors import UsageError
from fercache.expressions import EXPRESSIONS
from fercache.synthetic_faces import describe, draw, sample_face

SIZE, FERPLUS_SIZE = 64, 48
"""Pixels of the faces in training, and of FERPlus's own."""
FOLDERS = {"train": "FER2013Train", "validation": "FER2013Valid", "test": "FER2013Test"}
USAGES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
VOTE_COLUMNS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")


class RealFaces(NamedTuple):
    """Grey `pixels` (N, S, S) uint8 and their `votes` (N, 10) in the order of `VOTE_COLUMNS`."""

    pixels: NDArray[np.uint8]
    votes: NDArray[np.int16]

    def distribution(self) -> NDArray[np.float32]:
        """(N, 8) shares of the votes over `EXPRESSIONS`, without single votes; zero rows if no votes are left."""
        columns = [VOTE_COLUMNS.index(name) for name in EXPRESSIONS]
        counted = np.where(self.votes > 1, self.votes, 0)[:, columns].astype(np.float32)
        shares: NDArray[np.float32] = counted / np.maximum(counted.sum(axis=1, keepdims=True), 1)
        return shares


def read_ferplus(root: Path, split: str, side: int = SIZE) -> RealFaces:
    """One split of FERPlus, resized to `side` pixels. Raises UsageError if `root` is not FERPlus."""
    listing = root / "fer2013new.csv"
    if not listing.is_file():
        raise UsageError(f"{root} is not FERPlus: it has no fer2013new.csv. Give its folder: --ferplus ROOT.")
    with listing.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["Usage"] == USAGES[split] and row["Image name"]]
    pixels = np.empty((len(rows), side, side), np.uint8)
    for place, row in zip(pixels, rows, strict=True):
        with Image.open(root / FOLDERS[split] / row["Image name"]) as image:
            place[:] = np.asarray(image.convert("L").resize((side, side), Image.Resampling.BICUBIC))
    return RealFaces(pixels, np.array([[row[column] for column in VOTE_COLUMNS] for row in rows]).astype(np.int16))


@dataclass(frozen=True)
class SyntheticFaces:
    """`pixels` (N, 64, 64, 3) uint8, `expression` (N,) in `EXPRESSIONS`, `attributes` (N, A) in `captions.VALUES`."""

    pixels: NDArray[np.uint8]
    expression: NDArray[np.int64]
    attributes: NDArray[np.int64]


def draw_faces(seed: int, count: int, styles: tuple[str, ...], workers: int = 1) -> SyntheticFaces:
    """The first `count` faces of `seed`, cycling through the styles."""
    one = partial(_face_of, seed, styles)
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            faces = list(pool.map(one, range(count), chunksize=256))
    else:
        faces = [one(index) for index in range(count)]
    pixels, expressions, attributes = zip(*faces, strict=True)
    return SyntheticFaces(np.stack(pixels), np.array(expressions, np.int64), np.array(attributes, np.int64))


def _face_of(seed: int, styles: tuple[str, ...], index: int) -> tuple[NDArray[np.uint8], int, list[int]]:
    style = styles[index % len(styles)]
    face = sample_face(seed, index, style)
    return draw(face, SIZE), EXPRESSIONS.index(face.expression), indices_of(values_of(describe(face), style))
