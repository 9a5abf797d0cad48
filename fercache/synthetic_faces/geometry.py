"""The geometry of a face: curves in face coordinates as functions of the identity and the action units.

Face coordinates: x to the right, y down, the origin between the eyes and the tip of the nose, the head 1.5 wide.
Every curve is an array (P, 2). `side` is -1 for the left of the image and +1 for the right.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.synthetic_faces.anatomy import Face

Curve = NDArray[np.float64]

SIDES = (-1, 1)
EYE_LINE = -0.16
MOUTH_LINE = 0.5

ALONG = np.linspace(0.0, 1.0, 9)
ACROSS = np.linspace(-1.0, 1.0, 15)
DOME = 1.0 - ACROSS**2
# Weights of three points on a parabola, and of two on a straight line.
PARABOLA = np.stack([(1 - ALONG) * (1 - 2 * ALONG), 4 * ALONG * (1 - ALONG), ALONG * (2 * ALONG - 1)], axis=1)
STRAIGHT = np.stack([1 - ALONG, ALONG], axis=1)
CIRCLE = np.stack([np.cos(np.arange(18) * np.pi / 9), np.sin(np.arange(18) * np.pi / 9)], axis=1)
MIRROR = np.array([-1.0, 1.0])


def product(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """The matrix product, by sums in one order: a linear algebra library rounds as it suits the processor."""
    terms = (left[..., :, term, None] * right[..., None, term, :] for term in range(left.shape[-1]))
    result: NDArray[Any] = reduce(np.add, terms)
    return result


def curve(*points: tuple[float, float]) -> Curve:
    """A smooth curve (9, 2) through three points, or a straight one through two."""
    return product(PARABOLA if len(points) == 3 else STRAIGHT, np.array(points))


def ellipse(centre: tuple[float, float], half_axes: tuple[float, float]) -> Curve:
    """A closed ellipse (18, 2); both arguments are horizontal, then vertical."""
    return CIRCLE * half_axes + centre


def smooth(corners: Curve) -> Curve:
    """A closed polygon with its corners cut twice."""
    for _ in range(2):
        following = np.concatenate([corners[1:], corners[:1]])
        cut = np.empty((2 * len(corners), 2))
        cut[0::2], cut[1::2] = 0.75 * corners + 0.25 * following, 0.25 * corners + 0.75 * following
        corners = cut
    return corners


def mirrored(right: Curve) -> Curve:
    """The closed outline whose right half is `right`, from top to bottom with both ends off the centre line."""
    return np.concatenate([right, (right * MIRROR)[::-1]])


def jaw_opening(face: Face) -> float:
    """How far the chin drops."""
    units = face.action_units
    return 0.1 * units.jaw_drop + 0.15 * units.mouth_stretch


def head_outline(face: Face) -> Curve:
    """The closed outline of the head."""
    wide, jaw = 0.76 * face.head_width, 0.57 * face.head_width * face.jaw_width
    drop = jaw_opening(face)
    chin = 0.86 * face.chin_length + drop
    puff = 0.025 * face.action_units.lip_corner_puller
    right = np.array(
        [
            (0.12, -1.08),
            (0.36, -1.04),
            (0.62, -0.86),
            (wide - 0.02, -0.5),
            (wide, -0.15),
            (wide - 0.03 + puff, 0.15),
            ((wide + jaw) / 2 + 0.02 + puff, 0.4),
            (jaw, 0.57 + 0.6 * (chin - 0.86)),
            (0.34 * face.jaw_width, chin - 0.09),
            (0.13 * face.jaw_width, chin),
        ]
    )
    return smooth(mirrored(right))


def brow(face: Face, side: int) -> Curve:
    """The middle line of a brow (9, 2), from its inner to its outer end."""
    units = face.action_units
    raised, lifted, lowered = units.inner_brow_raiser, units.outer_brow_raiser, units.brow_lowerer
    base = EYE_LINE - 0.2 * face.brow_height
    uneven = 1.0 + side * face.asymmetry
    # Both brow raisers lift the whole brow; the inner one alone, with or without a frown, makes it oblique.
    oblique = raised * (1 - lifted)
    frown = lowered * (1 - 0.8 * raised)
    sink = 0.04 * units.nose_wrinkler - 0.01 * units.cheek_raiser
    inner = base + sink - 0.13 * raised * uneven - 0.04 * oblique + 0.14 * frown
    middle = base - 0.035 + sink - (0.04 * raised + 0.14 * lifted) * uneven + 0.02 * oblique + 0.05 * frown
    outer = base + 0.04 + 0.5 * sink - 0.1 * lifted * uneven + 0.08 * oblique - 0.04 * frown
    squeeze = 0.045 * lowered
    return curve((side * (0.135 - squeeze), inner), (side * (0.34 - squeeze / 2), middle), (side * 0.57, outer))


@dataclass(frozen=True)
class Eye:
    """One eye: its lids as functions of the abscissae `x` (15,), and the iris."""

    x: Curve
    upper: Curve
    lower: Curve
    iris_centre: tuple[float, float]
    iris_radius: float

    def between_lids(self, outline: Curve) -> Curve:
        """`outline` (P, 2) cut off where a lid covers it."""
        x, cut = outline[:, 0], outline.copy()
        np.maximum(cut[:, 1], np.interp(x, self.x, self.upper), out=cut[:, 1])
        np.minimum(cut[:, 1], np.interp(x, self.x, self.lower), out=cut[:, 1])
        return cut

    @property
    def opening(self) -> float:
        """The distance between the lids in the middle."""
        return float(self.lower[7] - self.upper[7])

    def outer_corner(self, side: int) -> tuple[float, float]:
        """Where the lids meet on the side of the temple."""
        end = -1 if side > 0 else 0
        return float(self.x[end]), float(self.upper[end])


def eye(face: Face, side: int) -> Eye:
    """The eye on `side`, opened and narrowed by its lids."""
    units = face.action_units
    size = face.eye_size
    cx, half = side * 0.335 * face.eye_distance, 0.155 * (0.6 + 0.4 * size)
    droop = min(1.0, units.eyes_closed)
    up = 0.072 * size + 0.065 * units.upper_lid_raiser - 0.034 * units.lid_tightener - 0.03 * units.cheek_raiser
    down = 0.052 * size + 0.014 * units.upper_lid_raiser - 0.035 * units.lid_tightener - 0.056 * units.cheek_raiser
    up = max(up * (1 - droop) - 0.02 * droop, 0.008 - down)
    oblique = units.inner_brow_raiser * (1 - units.outer_brow_raiser)
    slant = side * (0.06 * face.eye_slant + 0.17 * oblique - 0.14 * units.brow_lowerer)
    tilt = slant * ACROSS * half
    profile = DOME**0.75
    # The rest of the frown presses on the inner half of the upper lid.
    frown = 0.04 * units.brow_lowerer * (1 - units.inner_brow_raiser) * np.maximum(-side * ACROSS, 0.0) * profile
    lower = EYE_LINE + down * profile + 0.4 * tilt
    upper = np.minimum(EYE_LINE - up * profile + tilt + frown, lower)
    centre = (cx + 0.05 * face.gaze[0], EYE_LINE - 0.005 + 0.05 * face.gaze[1])
    return Eye(cx + half * ACROSS, upper, lower, iris_centre=centre, iris_radius=0.036 + 0.036 * size)


@dataclass(frozen=True)
class Mouth:
    """The mouth as four curves over the abscissae `x` (15,), from the upper to the lower edge of the lips."""

    x: Curve
    top: Curve
    upper: Curve
    lower: Curve
    bottom: Curve

    @property
    def corners(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The left and the right corner."""
        return (float(self.x[0]), float(self.upper[0])), (float(self.x[-1]), float(self.upper[-1]))

    @property
    def opening(self) -> float:
        """The distance between the lips in the middle."""
        return float(self.lower[7] - self.upper[7])


def band(x: Curve, above: Curve, below: Curve) -> Curve:
    """The closed area (2 P, 2) between two curves over the abscissae `x` (P,)."""
    return np.stack([np.concatenate([x, x[::-1]]), np.concatenate([above, below[::-1]])], axis=1)


def mouth(face: Face) -> Mouth:
    """The lips, moved by the action units of the lower face."""
    units = face.action_units
    smile, frown, stretch = units.lip_corner_puller, units.lip_corner_depressor, units.lip_stretcher
    gape, raised, bared = units.mouth_stretch, units.upper_lip_raiser, units.lower_lip_depressor
    half = 0.25 * face.mouth_width + 0.11 * smile + 0.09 * stretch - 0.03 * units.lip_tightener - 0.085 * gape
    half += 0.02 * raised - 0.02 * units.chin_raiser + 0.03 * bared * (1 - stretch)
    line = MOUTH_LINE * (0.5 + 0.5 * face.chin_length) - 0.025 * units.chin_raiser
    uneven = face.asymmetry * ACROSS
    corner = line + 0.03 * stretch + 0.1 * gape + 0.05 * units.jaw_drop + (0.1 * frown - 0.12 * smile) * (1 + uneven)
    middle = line - 0.08 * raised - 0.02 * units.nose_wrinkler - 0.02 * frown - 0.03 * gape + 0.02 * smile
    middle -= (0.03 * stretch + 0.04 * bared) * units.lips_part
    apart = (0.05 + 0.075 * smile + 0.11 * bared) * units.lips_part + 0.13 * units.jaw_drop + 0.32 * gape
    # The rounder arc of a lip becomes a box when the mouth gapes or the teeth are bared.
    arc = DOME ** (1.0 - 0.6 * min(1.0, bared) - 0.35 * min(1.0, gape))
    # The muscle that raises the upper lip ends beside its middle, so that the lip looks like a flat M.
    lifted = 0.045 * raised * np.exp(-(((np.abs(ACROSS) - 0.45) / 0.22) ** 2))
    upper = corner + (middle - corner) * arc - lifted
    lower = np.maximum(corner + (middle + apart - corner) * arc, upper)
    thin = (1 - 0.6 * units.lip_tightener) * (1 - 0.7 * units.lip_pressor) * (1 - 0.25 * smile) * (1 - 0.25 * stretch)
    bow = 1.0 - 0.3 * np.exp(-((ACROSS / 0.16) ** 2))
    top = upper - 0.05 * face.lip_fullness * thin * bow * DOME**0.7 * (1 - 0.35 * raised)
    bottom = lower + 0.075 * face.lip_fullness * thin * (1 + 0.35 * units.chin_raiser) * DOME**0.8
    return Mouth(half * ACROSS, top, upper, lower=lower, bottom=bottom)
