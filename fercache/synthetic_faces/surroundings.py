"""The parts of a face that do not move: head, neck, ears, hair, beard and glasses."""

import numpy as np

from fercache.synthetic_faces import geometry
from fercache.synthetic_faces.anatomy import Face
from fercache.synthetic_faces.canvas import Colour, blend
from fercache.synthetic_faces.geometry import CIRCLE, DOME, EYE_LINE, SIDES, curve, ellipse, mirrored, smooth
from fercache.synthetic_faces.scene import Scene

COVERS_EARS = ("long", "bob")


def half_width(face: Face) -> float:
    """From the middle of the head to its side."""
    return 0.76 * face.head_width


def hair_behind(scene: Scene) -> None:
    """Hair behind the head."""
    face, wide = scene.face, half_width(scene.face)
    colour = blend(scene.palette.hair, scene.palette.pupil, 0.2)
    if face.hair in COVERS_EARS:
        bottom, flare = (1.5, 0.18) if face.hair == "long" else (0.62, 0.24)
        right = [(0.2, -1.3), (0.6, -1.16), (wide + 0.14, -0.5), (wide + flare, 0.3), (wide + flare - 0.04, bottom)]
        scene.shape(smooth(mirrored(np.array(right))), colour, relief=0.0)
    elif face.hair == "curly":
        for angle in np.linspace(np.pi * 0.95, np.pi * 2.05, 11):
            lock = ellipse((0.84 * np.cos(angle), -0.4 + 0.74 * np.sin(angle)), (0.23, 0.22))
            scene.shape(lock, colour, relief=0.0)


def neck(scene: Scene) -> None:
    """Neck, shoulders and collar."""
    palette = scene.palette
    body = mirrored(np.array([(0.46, 0.3), (0.47, 1.0), (1.2, 1.25), (1.2, 1.8)]))
    scene.shape(body, blend(palette.skin, palette.shade, 0.9), -0.3, 0.0)
    collar = np.array([(-1.7, 1.2), (-0.5, 0.99), (0.0, 1.15), (0.5, 0.99), (1.7, 1.2), (1.7, 2.0), (-1.7, 2.0)])
    scene.shape(collar, palette.clothing, -0.2, 0.0)


def ears(scene: Scene) -> None:
    """The ears, where no hair covers them."""
    if scene.face.hair in COVERS_EARS:
        return
    inner = blend(scene.palette.skin, scene.palette.shade, 0.8)
    for side in SIDES:
        x = side * (half_width(scene.face) + 0.015)
        scene.shape(ellipse((x, 0.0), (0.085, 0.18)), scene.palette.skin, -0.05, 0.0)
        scene.canvas.fill(ellipse((x + 0.01 * side, 0.01), (0.04, 0.1)), inner, -0.05, 0.0)


def head(scene: Scene) -> None:
    """The skull and the jaw."""
    scene.shape(geometry.head_outline(scene.face), scene.palette.skin, 0.1, 0.0)


def beard(scene: Scene) -> None:
    """Stubble, moustache, goatee or a full beard, around the lips."""
    face, mouth, colour = scene.face, scene.mouth, scene.palette.hair
    if face.beard in ("stubble", "full"):
        whiskers(scene, colour if face.beard == "full" else blend(scene.palette.skin, colour, 0.25))
    elif face.beard in ("moustache", "goatee"):
        rim = np.minimum(mouth.top, 0.46) - 0.075 * DOME**0.4
        scene.canvas.fill(geometry.band(1.16 * mouth.x, rim, mouth.top + 0.025), colour, 0.04)
    if face.beard == "goatee":
        low, tuft = float(mouth.bottom[7]) + 0.03, geometry.jaw_opening(face) + 0.86 * face.chin_length
        chin = smooth(mirrored(np.array([(0.14, low), (0.22, tuft - 0.12), (0.1, tuft + 0.02)])))
        scene.canvas.fill(chin, colour, 0.02)


def whiskers(scene: Scene, colour: Colour) -> None:
    """A full beard: a rim along the jaw, part of the silhouette, and the rest, which moves with the mouth."""
    outline = geometry.head_outline(scene.face)
    jaw = outline[outline[:, 1] > 0.2]
    jaw = jaw[np.argsort(-np.arctan2(jaw[:, 0], jaw[:, 1] - 0.1))]
    scene.canvas.fill(np.concatenate([jaw, (0.85 * jaw + (0.0, 0.05))[::-1]]), colour, 0.1, 0.0)
    scene.canvas.fill(np.concatenate([0.97 * jaw, BEARD_EDGE]), colour, 0.02, 0.85)


BEARD_EDGE = np.array(
    [(-0.56, 0.3), (-0.38, 0.44), (-0.27, 0.33), (0.0, 0.32), (0.27, 0.33), (0.38, 0.44), (0.56, 0.3)]
)
# The lower edge of the hair from the right temple over the forehead to the left one: (share of the half width, y).
HAIRLINES: dict[str, list[tuple[float, float]]] = {
    "short": [(0.97, -0.28), (0.86, -0.6), (0.55, -0.78), (0.0, -0.82), (-0.55, -0.78), (-0.86, -0.6), (-0.97, -0.28)],
    "side-parted": [
        (0.97, -0.24),
        (0.88, -0.52),
        (0.66, -0.62),
        (0.1, -0.74),
        (-0.48, -0.92),
        (-0.86, -0.7),
        (-0.97, -0.28),
    ],
    "fringe": [(0.97, 0.0), (0.88, -0.44), (0.5, -0.57), (0.0, -0.6), (-0.5, -0.57), (-0.88, -0.44), (-0.97, 0.0)],
    "long": [(0.98, 0.4), (0.86, -0.36), (0.52, -0.74), (0.08, -0.94), (-0.42, -0.76), (-0.84, -0.4), (-0.98, 0.4)],
    "bob": [(0.98, 0.5), (0.88, -0.32), (0.6, -0.66), (0.25, -0.8), (-0.5, -0.64), (-0.88, -0.32), (-0.98, 0.5)],
    "curly": [(0.98, -0.22), (0.85, -0.58), (0.5, -0.74), (0.0, -0.78), (-0.5, -0.74), (-0.85, -0.58), (-0.98, -0.22)],
}


def hair_in_front(scene: Scene) -> None:
    """The hair over the skull, and a few strands of it."""
    face, palette, wide = scene.face, scene.palette, half_width(scene.face)
    if face.hair not in HAIRLINES:
        return
    skull = [(-wide - 0.05, -0.2), (-wide - 0.05, -0.6), (-0.66, -1.0), (-0.3, -1.24)]
    skull += [(-x, y) for x, y in reversed(skull)]
    hairline = np.array(HAIRLINES[face.hair]) * (wide, 1.0)
    scene.shape(smooth(np.concatenate([np.array(skull), hairline])), palette.hair, 0.14, 0.0)
    strand = blend(palette.hair, palette.streak, 0.5)
    for x, y in hairline[1:-1]:
        scene.canvas.stroke(curve((x, y - 0.05), (0.97 * x, y - 0.15), (0.85 * x + 0.03, y - 0.25)), strand, 0.022)


def glasses(scene: Scene) -> None:
    """Rims, bridge and temples; dark lenses in sunglasses."""
    face, palette, canvas = scene.face, scene.palette, scene.canvas
    if face.glasses == "none":
        return
    x, wide, high, width = 0.335 * face.eye_distance, 0.235, 0.2, 0.034
    corner = 1.0 if face.glasses == "round" else 0.5
    rim = np.sign(CIRCLE) * np.abs(CIRCLE) ** corner * (wide, high) + (0.0, EYE_LINE + 0.02)
    for side in SIDES:
        around = rim + np.array([side * x, 0.0])
        if face.glasses == "sunglasses":
            canvas.fill(around, palette.lens, 0.1)
            glare = curve((side * x - 0.1, EYE_LINE), (side * x - 0.02, EYE_LINE - 0.09))
            canvas.stroke(glare, blend(palette.lens, palette.glint, 0.4), 0.03, lift=0.1)
        canvas.contour(around, palette.frame, width, 0.1)
        temple = curve((side * (x + wide), EYE_LINE - 0.02), (side * half_width(face), EYE_LINE + 0.02))
        canvas.stroke(temple, palette.frame, width, 0.0)
    canvas.stroke(curve((-x + wide, -0.17), (0.0, -0.2), (x - wide, -0.17)), palette.frame, width, 0.0, lift=0.14)
