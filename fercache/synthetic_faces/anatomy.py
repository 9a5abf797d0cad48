"""Identities, action units and the prototypes of the expressions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from fercache.identity import seed_from

T = TypeVar("T")

EXPRESSIONS: tuple[str, ...] = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")

SKINS: dict[str, tuple[int, int, int]] = {
    "pale": (250, 218, 196),
    "fair": (238, 198, 170),
    "olive": (219, 177, 137),
    "tan": (198, 150, 112),
    "brown": (160, 112, 80),
    "dark": (124, 84, 60),
}
HAIR_COLOURS: dict[str, tuple[int, int, int]] = {
    "black": (36, 31, 33),
    "brown": (88, 58, 40),
    "blond": (208, 170, 100),
    "red": (158, 76, 38),
    "grey": (152, 150, 150),
}
EYE_COLOURS: tuple[tuple[int, int, int], ...] = (
    (82, 52, 32),
    (60, 38, 26),
    (70, 110, 140),
    (84, 116, 78),
    (110, 84, 50),
)
HAIR: tuple[str, ...] = ("short", "side-parted", "fringe", "long", "bob", "curly", "bald")
GLASSES: tuple[str, ...] = ("none", "round", "square", "sunglasses")
BEARDS: tuple[str, ...] = ("none", "stubble", "moustache", "goatee", "full")


class ActionUnits(NamedTuple):
    """Contraction of each facial action unit, 0 (at rest) to about 1 (maximal), with its number in FACS."""

    inner_brow_raiser: float = 0.0  # AU 1
    outer_brow_raiser: float = 0.0  # AU 2
    brow_lowerer: float = 0.0  # AU 4
    upper_lid_raiser: float = 0.0  # AU 5
    cheek_raiser: float = 0.0  # AU 6
    lid_tightener: float = 0.0  # AU 7
    nose_wrinkler: float = 0.0  # AU 9
    upper_lip_raiser: float = 0.0  # AU 10
    lip_corner_puller: float = 0.0  # AU 12
    lip_corner_depressor: float = 0.0  # AU 15
    lower_lip_depressor: float = 0.0  # AU 16
    chin_raiser: float = 0.0  # AU 17
    tongue_show: float = 0.0  # AU 19
    lip_stretcher: float = 0.0  # AU 20
    lip_tightener: float = 0.0  # AU 23
    lip_pressor: float = 0.0  # AU 24
    lips_part: float = 0.0  # AU 25
    jaw_drop: float = 0.0  # AU 26
    mouth_stretch: float = 0.0  # AU 27
    eyes_closed: float = 0.0  # AU 43


# Each expression has one or more prototypes; a face draws one of them. Closed and open mouths both occur in life.
PROTOTYPES: dict[str, tuple[ActionUnits, ...]] = {
    "surprise": (
        ActionUnits(
            inner_brow_raiser=1.0,
            outer_brow_raiser=1.0,
            upper_lid_raiser=0.9,
            lips_part=0.5,
            mouth_stretch=1.0,
        ),
        ActionUnits(
            inner_brow_raiser=1.0,
            outer_brow_raiser=1.0,
            upper_lid_raiser=0.8,
            lips_part=0.4,
            mouth_stretch=0.75,
        ),
    ),
    "fear": (
        ActionUnits(
            inner_brow_raiser=1.0,
            outer_brow_raiser=0.35,
            brow_lowerer=0.75,
            upper_lid_raiser=1.0,
            lower_lip_depressor=0.8,
            lip_stretcher=1.0,
            lips_part=0.9,
        ),
        ActionUnits(
            inner_brow_raiser=1.0,
            outer_brow_raiser=0.3,
            brow_lowerer=0.7,
            upper_lid_raiser=1.0,
            lower_lip_depressor=0.6,
            lip_stretcher=1.0,
            lips_part=0.6,
            jaw_drop=0.35,
        ),
    ),
    "disgust": (
        ActionUnits(
            brow_lowerer=0.55,
            cheek_raiser=0.3,
            lid_tightener=1.0,
            nose_wrinkler=1.0,
            upper_lip_raiser=1.0,
            lip_corner_depressor=0.5,
            chin_raiser=0.5,
        ),
        ActionUnits(
            brow_lowerer=0.5,
            cheek_raiser=0.3,
            lid_tightener=1.0,
            nose_wrinkler=1.0,
            upper_lip_raiser=0.8,
            lip_corner_depressor=0.5,
            tongue_show=1.0,
            lips_part=0.6,
            jaw_drop=0.35,
        ),
    ),
    "happiness": (
        ActionUnits(
            cheek_raiser=1.0,
            lip_corner_puller=1.0,
            lips_part=0.8,
            jaw_drop=0.25,
        ),
        ActionUnits(
            cheek_raiser=0.9,
            lip_corner_puller=1.0,
            lips_part=0.5,
        ),
        ActionUnits(
            cheek_raiser=0.8,
            lip_corner_puller=0.95,
        ),
    ),
    "sadness": (
        ActionUnits(
            inner_brow_raiser=1.0,
            brow_lowerer=0.35,
            lid_tightener=0.15,
            lip_corner_depressor=1.0,
            chin_raiser=0.7,
            eyes_closed=0.3,
        ),
        ActionUnits(
            inner_brow_raiser=1.0,
            brow_lowerer=0.3,
            lip_corner_depressor=0.95,
            chin_raiser=0.4,
            eyes_closed=0.45,
        ),
    ),
    "anger": (
        ActionUnits(
            brow_lowerer=1.0,
            upper_lid_raiser=0.45,
            lid_tightener=0.6,
            chin_raiser=0.3,
            lip_tightener=0.9,
            lip_pressor=0.8,
        ),
        ActionUnits(
            brow_lowerer=1.0,
            upper_lid_raiser=0.5,
            lid_tightener=0.6,
            lower_lip_depressor=0.9,
            lip_tightener=0.4,
            lips_part=1.0,
        ),
    ),
    "neutral": (ActionUnits(),),
}


@dataclass(frozen=True)
class Identity:
    """What does not change with the expression. Lengths are factors of the average face."""

    head_width: float
    jaw_width: float
    chin_length: float
    eye_size: float
    eye_distance: float
    eye_slant: float
    nose_length: float
    nose_width: float
    mouth_width: float
    lip_fullness: float
    brow_height: float
    brow_thickness: float
    lashes: float
    age: float
    skin: str
    skin_warmth: float
    hair: str
    hair_colour: str
    eye_colour: tuple[int, int, int]
    glasses: str
    beard: str


@dataclass(frozen=True)
class Face(Identity):
    """Everything that determines one image: identity, expression, pose, light and style.

    Angles are in degrees: positive `yaw` turns the head to the right of the image, positive `pitch` lowers it,
    positive `roll` tilts it clockwise. `light` points from the face to the light, (right, down), length = contrast.
    `shift` and `zoom` place the face in the frame; `gaze` moves the irises.
    """

    expression: str
    intensity: float
    action_units: ActionUnits
    asymmetry: float
    gaze: tuple[float, float]
    yaw: float
    pitch: float
    roll: float
    shift: tuple[float, float]
    zoom: float
    light: tuple[float, float]
    background: tuple[int, int, int]
    clothing: tuple[int, int, int]
    style: str
    noise_seed: int


def generator(*key: str | int) -> np.random.Generator:
    """A random generator that depends only on `key`."""
    return np.random.default_rng(seed_from("synthetic face", *key))


def pick(random: np.random.Generator, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
    """One of `options`, by `weights` (any positive numbers; equal when left out)."""
    shares = np.cumsum(weights if weights is not None else np.ones(len(options)))
    return options[int(np.searchsorted(shares, random.random() * shares[-1], side="right"))]


def sample_identity(random: np.random.Generator) -> Identity:
    """A person: shape, skin, hair, glasses, beard and age."""

    def around(spread: float) -> float:
        return float(1.0 + spread * (2.0 * random.random() - 1.0))

    age = float(random.random())
    hair = pick(random, HAIR, (4, 3, 2, 4, 2, 2, 1 + age))
    grown_short = hair not in ("long", "bob", "fringe")
    beard = pick(random, BEARDS, (10, 2, 1, 1, 2)) if grown_short else "none"
    skin = pick(random, tuple(SKINS), (2, 4, 3, 3, 2, 2))
    commonness = (8, 3, 0.2, 0.2, 0.2) if skin in ("tan", "brown", "dark") else (3, 5, 3, 1.5, 0.2)
    hair_colour = "grey" if age > 0.7 and random.random() < 0.7 else pick(random, tuple(HAIR_COLOURS), commonness)
    return Identity(
        head_width=around(0.07),
        jaw_width=around(0.1),
        chin_length=around(0.06),
        eye_size=around(0.12),
        eye_distance=around(0.06),
        eye_slant=around(0.5) - 1.0,
        nose_length=around(0.12),
        nose_width=around(0.2),
        mouth_width=around(0.1),
        lip_fullness=around(0.3),
        brow_height=around(0.1),
        brow_thickness=around(0.3) * (1.1 if grown_short else 0.85),
        lashes=0.3 if grown_short else 0.9,
        age=age,
        skin=skin,
        skin_warmth=around(0.03),
        hair=hair,
        hair_colour=hair_colour,
        eye_colour=pick(random, EYE_COLOURS),
        glasses=pick(random, GLASSES, (15, 3, 3, 0.6)),
        beard=beard,
    )


def contract(expression: str, intensity: float, random: np.random.Generator) -> ActionUnits:
    """The action units of `expression` at `intensity` (0..1), with one individual's deviations; all 0 at 0."""
    prototype = pick(random, PROTOTYPES[expression])
    deviation = 0.85 + 0.3 * random.random(len(prototype))
    stray = 0.07 * random.random(len(prototype)) ** 3
    return ActionUnits(
        *(float(min(1.1, intensity * (a * d + s))) for a, d, s in zip(prototype, deviation, stray, strict=True))
    )
