"""Faces to place in scenes."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fercache.datasets.ferplus import plugin as ferplus
from fercache.images.decode import decode
from fercache.synthetic_faces import DOMAINS, EXPRESSIONS, Face, draw, sample_face
from fercache.synthetic_faces.canvas import SUPERSAMPLING, Canvas
from fercache.synthetic_faces.geometry import head_outline
from fercache.votes import voted_labels

STYLES = DOMAINS
SEED = 20_261_129
"""Of the drawn people, who are in no dataset."""
DRAWN = 192
"""Side of a drawn portrait, in pixels."""
HAIRLINE = -0.7
"""In face coordinates: the top of a face's box."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Portrait:
    """A square (S, S, 3) uint8, where in it the face is (shares of S: left, top, right, bottom), and its expression."""

    pixels: Pixels
    box: tuple[float, float, float, float]
    expression: str
    name: str


def drawn_portraits(seed: int = 0, styles: tuple[str, ...] = STYLES) -> Iterator[Portrait]:
    """Without end, styles and expressions in turn; the box reaches from the hairline to the chin, without ears."""
    for number in count():
        style = styles[number % len(styles)]
        expression = EXPRESSIONS[(number // len(styles) + number) % len(EXPRESSIONS)]
        face = sample_face(SEED + seed, number, style, expression)
        yield Portrait(draw(face, DRAWN), _face_box(face), expression, f"{style}-{number}")


def _face_box(face: Face) -> tuple[float, float, float, float]:
    canvas, outline = Canvas(face, DRAWN, (0, 0, 0)), np.maximum(head_outline(face), (-np.inf, HAIRLINE))
    canvas.fill(outline, (0, 0, 0), lift=0.1, relief=0.0)
    shares = canvas._project([len(outline)]) / (DRAWN * SUPERSAMPLING)
    (left, top), (right, bottom) = shares.min(0), shares.max(0)
    return float(left), float(top), float(right), float(bottom)


def ferplus_portraits(root: Path, faces: int, split: str = "test", seed: int = 0) -> list[Portrait]:
    """A random sample of the faces that have a majority of votes; each fills its image, so the box is all of it."""
    listed = [face for face in ferplus.faces(root) if face.split == split]
    votes = np.array([face.votes for face in listed], np.int16)
    labels = voted_labels(ferplus.expressions, votes, ferplus.vote_columns)
    kept = np.flatnonzero(labels.kept)
    chosen = np.random.default_rng(seed).permutation(kept)[:faces]
    return [
        Portrait(
            decode(listed[row].read()), (0.0, 0.0, 1.0, 1.0), labels.expressions[labels.index[row]], listed[row].id
        )
        for row in chosen
    ]


def resized(portrait: Portrait, side: int) -> Image.Image:
    """The portrait as an image of side x side."""
    return Image.fromarray(portrait.pixels).resize((side, side), Image.Resampling.LANCZOS)
