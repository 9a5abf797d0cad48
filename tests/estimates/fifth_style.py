"""A fifth style of synthetic faces, with people of its own: chalk on a blackboard. No estimator was built with it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from fercache.synthetic_faces import EXPRESSIONS, draw, sample_face, styles
from fercache.synthetic_faces.anatomy import Face
from fercache.synthetic_faces.canvas import Pixels
from fercache.synthetic_faces.finishes import grain

NAME = "chalk"
SEED = 5_051_977
"""Of people who are in no other dataset."""
FACES = 100
"""Per expression."""


def blackboard(image: Pixels, face: Face, random: np.random.Generator) -> Pixels:
    """A pencil drawing with light and dark exchanged, on green, with the dust of chalk."""
    brightness = 255 - image.mean(axis=2)
    dusty = brightness + grain(random, brightness.shape, 14.0)
    board = np.array([34, 58, 46], dtype=np.float32)
    chalk = np.array([236, 234, 220], dtype=np.float32)
    share = np.clip(dusty / 255, 0, 1)[..., None]
    return np.asarray(board + share * (chalk - board), dtype=np.float32)


STYLE = replace(styles.DOMAIN_STYLES["sketch"], phrase="a chalk drawing", finish=blackboard, camera=styles.OFF_CENTRE)


def draw_folder(root: Path, faces: int = FACES) -> Path:
    """`root/<expression>/*.png`, `faces` of each expression."""
    styles.FURTHER_STYLES[NAME] = STYLE
    try:
        for number, expression in enumerate(EXPRESSIONS):
            (root / expression).mkdir(parents=True, exist_ok=True)
            for place in range(faces):
                face = sample_face(SEED, number * faces + place, NAME, expression)
                Image.fromarray(draw(face)).save(root / expression / f"{place:04}.png")
    finally:
        del styles.FURTHER_STYLES[NAME]
    return root
