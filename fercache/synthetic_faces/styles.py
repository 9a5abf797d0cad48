"""Styles: colours, lines, camera and finish of the four domains and of the further styles."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fercache.errors import UsageError, nearest
from fercache.synthetic_faces import finishes
from fercache.synthetic_faces.anatomy import HAIR_COLOURS, SKINS, Face
from fercache.synthetic_faces.canvas import Colour, Pixels, blend

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


@dataclass(frozen=True)
class Palette:
    """The colour of every part of an image."""

    background: Colour
    clothing: Colour
    skin: Colour
    shade: Colour
    crease: Colour
    blush: Colour
    line: Colour
    hair: Colour
    streak: Colour
    brow: Colour
    lash: Colour
    sclera: Colour
    iris: Colour
    pupil: Colour
    glint: Colour
    lip: Colour
    mouth: Colour
    teeth: Colour
    tongue: Colour
    frame: Colour
    lens: Colour


def natural(face: Face) -> Palette:
    """Natural colours."""
    red, green, blue = SKINS[face.skin]
    skin = (min(255, round(red * face.skin_warmth)), green, min(255, round(blue / face.skin_warmth)))
    hair = HAIR_COLOURS[face.hair_colour]
    crease = blend(skin, (48, 14, 10), 0.68)
    return Palette(
        background=face.background,
        clothing=face.clothing,
        skin=skin,
        shade=blend(skin, (96, 44, 36), 0.3),
        crease=crease,
        blush=blend(skin, (226, 92, 84), 0.34),
        line=blend(crease, BLACK, 0.45),
        hair=hair,
        streak=blend(hair, (255, 236, 200), 0.3),
        brow=blend(blend(hair, (40, 28, 24), 0.45), skin, 0.08),
        lash=(34, 24, 24),
        sclera=(246, 244, 240),
        iris=face.eye_colour,
        pupil=(14, 12, 14),
        glint=WHITE,
        lip=blend(skin, (176, 50, 58), 0.36 + 0.2 * face.lashes),
        mouth=(66, 16, 22),
        teeth=(250, 247, 238),
        tongue=(206, 92, 98),
        frame=(38, 34, 40),
        lens=(30, 30, 38),
    )


def infrared(face: Face) -> Palette:
    """Colours under infrared light: all skin is bright, the background dark."""
    colours = natural(face)
    skin = blend(colours.skin, (214, 190, 176), 0.7)
    crease = blend(skin, BLACK, 0.7)
    return replace(colours, skin=skin, crease=crease, blush=skin, background=blend(face.background, BLACK, 0.72))


def vivid(face: Face) -> Palette:
    """Natural colours, fully saturated, with black lines."""
    colours = natural(face)

    def stronger(colour: Colour) -> Colour:
        mean = sum(colour) / 3
        red, green, blue = (min(255, max(0, round(mean + 1.5 * (channel - mean) + 8))) for channel in colour)
        return red, green, blue

    changed = {
        name: stronger(getattr(colours, name))
        for name in ("skin", "hair", "background", "clothing", "iris", "lip", "blush")
    }
    return replace(colours, **changed, line=(16, 12, 16), crease=(60, 24, 24), streak=changed["hair"])


def pencil(face: Face) -> Palette:
    """Lines only: every surface is bare paper, dark things are hatched lightly."""
    graphite: Colour = (30, 30, 30)
    brightness = sum(HAIR_COLOURS[face.hair_colour]) / 765
    bare = ("background", "clothing", "skin", "shade", "blush", "sclera", "teeth", "glint", "lip", "tongue")
    drawn = ("line", "crease", "streak", "lash", "frame", "pupil")
    return Palette(
        **dict.fromkeys(bare, WHITE),
        **dict.fromkeys(drawn, graphite),
        hair=blend((150, 150, 150), WHITE, 0.35 + 0.5 * brightness),
        brow=(66, 66, 66),
        iris=(140, 140, 140),
        mouth=(92, 92, 92),
        lens=(110, 110, 110),
    )


def plaster(face: Face) -> Palette:
    """One material: only relief distinguishes the parts."""
    base: Colour = (205, 205, 205)
    hair: Colour = (150, 150, 150)
    surfaces = dict.fromkeys(("skin", "blush", "streak"), base)
    return Palette(
        **surfaces,
        background=(238, 238, 238),
        clothing=(176, 176, 176),
        shade=(160, 160, 160),
        crease=(104, 104, 104),
        line=(120, 120, 120),
        hair=hair,
        brow=(112, 112, 112),
        lash=(70, 70, 70),
        sclera=(236, 236, 236),
        iris=(120, 120, 120),
        pupil=(60, 60, 60),
        glint=(250, 250, 250),
        lip=(168, 168, 168),
        mouth=(62, 62, 62),
        teeth=(240, 240, 240),
        tongue=(150, 150, 150),
        frame=(80, 80, 80),
        lens=(84, 84, 84),
    )


@dataclass(frozen=True)
class Camera:
    """The largest deviations of a style's images from frontal, centred and evenly lit; angles in degrees."""

    yaw: float
    pitch: float
    roll: float
    shift: float
    zoom: tuple[float, float]
    light: tuple[float, float]


@dataclass(frozen=True)
class Style:
    """A style of drawing, with a `phrase` for captions.

    `line` scales all strokes, `outline` is the width of contours (0: none), `soft` the strength of the soft shadows
    and `wobble` how unsteady the hand is, both widths in face coordinates; `intensity` is the range of expressions.
    """

    phrase: str
    palette: Callable[[Face], Palette]
    finish: Callable[[Pixels, Face, np.random.Generator], Pixels]
    camera: Camera
    line: float = 1.0
    outline: float = 0.0
    soft: float = 1.0
    wobble: float = 0.0
    intensity: tuple[float, float] = (0.55, 1.0)


FRONTAL = Camera(yaw=7, pitch=4, roll=4, shift=0.03, zoom=(0.97, 1.05), light=(0.0, 0.14))
OFF_CENTRE = Camera(yaw=20, pitch=10, roll=9, shift=0.14, zoom=(0.78, 1.0), light=(0.1, 0.35))
SITTING = Camera(yaw=12, pitch=6, roll=8, shift=0.05, zoom=(0.9, 1.05), light=(0.0, 0.0))
SIDE_LIT = Camera(yaw=18, pitch=8, roll=7, shift=0.07, zoom=(0.88, 1.08), light=(0.55, 0.8))
FREE = Camera(yaw=26, pitch=9, roll=11, shift=0.07, zoom=(0.88, 1.08), light=(0.0, 0.45))
ROAMING = Camera(yaw=30, pitch=12, roll=13, shift=0.12, zoom=(0.76, 1.1), light=(0.0, 0.7))

RESTRAINED = (0.25, 0.7)
"""How strong the domains' expressions are: plain to a person, yet hard enough that methods differ."""
ANY = (0.25, 1.0)
"""From restrained to full."""

DOMAIN_STYLES: dict[str, Style] = {
    name: replace(style, intensity=RESTRAINED)
    for name, style in {
        "studio": Style("a studio portrait", natural, finishes.studio, FRONTAL),
        "webcam": Style("a blurry webcam picture", natural, finishes.webcam, OFF_CENTRE),
        "sketch": Style(
            "a pencil sketch", pencil, finishes.sketch, camera=SITTING, line=1.15, outline=0.024, soft=0.0, wobble=0.012
        ),
        "night": Style("a dark picture taken at night", infrared, finishes.night, SIDE_LIT),
    }.items()
}
FURTHER_STYLES: dict[str, Style] = {
    "cartoon": Style("a cartoon with bold outlines", vivid, finishes.cartoon, FREE, line=1.35, outline=0.04, soft=0.0),
    "poster": Style("a poster in few colours", natural, finishes.poster, FREE, line=1.2, soft=0.8),
    "pastel": Style("a pastel drawing", natural, finishes.pastel, FREE, line=0.9, soft=0.6),
    "mono": Style("a black-and-white photograph", natural, finishes.mono, FREE, soft=1.4),
    "clay": Style("a clay figure", plaster, finishes.clay, FREE, line=0.9, soft=2.2),
    "halftone": Style("a halftone newspaper print", natural, finishes.halftone, FREE, line=1.2, soft=1.0),
    "watercolour": Style("a watercolour", natural, finishes.watercolour, ROAMING, line=0.9, soft=0.8, intensity=ANY),
    "engraving": Style("an engraving", natural, finishes.engraving, ROAMING, line=1.2, outline=0.02, intensity=ANY),
    "painting": Style("an oil painting", vivid, finishes.painting, ROAMING, soft=1.2, intensity=ANY),
    "polaroid": Style("a faded colour photograph", natural, finishes.polaroid, ROAMING, soft=1.2, intensity=ANY),
    "pixels": Style("a picture in pixel art", vivid, finishes.pixels, ROAMING, line=1.3, soft=0.6, intensity=ANY),
    "thermal": Style("a thermal image", infrared, finishes.thermal, ROAMING, soft=1.0, intensity=ANY),
}

DOMAINS: tuple[str, ...] = tuple(DOMAIN_STYLES)
STYLES: tuple[str, ...] = tuple(FURTHER_STYLES)


def style_named(name: str) -> Style:
    """The style named `name`. Raises UsageError if it is neither a domain nor a style."""
    style = {**DOMAIN_STYLES, **FURTHER_STYLES}.get(name)
    if style is None:
        raise UsageError(f"Synthetic faces have no style '{name}'. {nearest(name, DOMAINS + STYLES)}")
    return style
