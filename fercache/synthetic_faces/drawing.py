"""Draws a face from back to front."""

import numpy as np
from numpy.typing import NDArray

from fercache.synthetic_faces import geometry
from fercache.synthetic_faces.anatomy import Face, generator
from fercache.synthetic_faces.canvas import Canvas
from fercache.synthetic_faces.features import brows, cheeks, eyes, folds, forehead, lips, nose
from fercache.synthetic_faces.scene import Scene
from fercache.synthetic_faces.styles import style_named
from fercache.synthetic_faces.surroundings import beard, ears, glasses, hair_behind, hair_in_front, head, neck

BACK_TO_FRONT = (
    hair_behind,
    neck,
    ears,
    head,
    cheeks,
    forehead,
    nose,
    beard,
    folds,
    eyes,
    brows,
    lips,
    hair_in_front,
    glasses,
)


def draw(face: Face, size: int = 96) -> NDArray[np.uint8]:
    """The image of `face`, RGB (size, size, 3)."""
    style = style_named(face.style)
    palette = style.palette(face)
    canvas = Canvas(face, size, palette.background, wobble=style.wobble, soft=style.soft > 0)
    scene = Scene(face, style, palette, canvas=canvas, mouth=geometry.mouth(face))
    for part in BACK_TO_FRONT:
        part(scene)
    image, shadows = canvas.paint()
    image = image * (1.0 + style.soft * (shadows - 1.0))[..., None]
    image = style.finish(image, face, generator("noise", face.noise_seed))
    pixels: NDArray[np.uint8] = np.clip(image + 0.5, 0, 255).astype(np.uint8)
    return pixels
