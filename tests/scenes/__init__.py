"""Scenes of 960 x 720 pixels with faces whose boxes and expressions are known: drawn ones, or FERPlus's.

`python -m tests.scenes FOLDER` writes some, with `truth.csv`, which is also a manifest of their faces.
"""

from tests.scenes.compose import HEIGHT, MOST_FACES, SIDES, WIDTH, Look, Truth, compose
from tests.scenes.portraits import STYLES, Portrait, drawn_portraits, ferplus_portraits

__all__ = [
    "HEIGHT",
    "MOST_FACES",
    "SIDES",
    "STYLES",
    "WIDTH",
    "Look",
    "Portrait",
    "Truth",
    "compose",
    "drawn_portraits",
    "ferplus_portraits",
]
