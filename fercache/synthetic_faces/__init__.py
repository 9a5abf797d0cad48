"""Synthetic faces: seven expressions posed by action units, in four domains and some further styles.

An image is a function of a `Face`, and a face a function of (seed, index, style, expression): nothing is stored.
"""

from fercache.synthetic_faces.anatomy import EXPRESSIONS, ActionUnits, Face, Identity
from fercache.synthetic_faces.contact_sheet import make_contact_sheet
from fercache.synthetic_faces.description import describe
from fercache.synthetic_faces.drawing import draw
from fercache.synthetic_faces.reference import other_drawing
from fercache.synthetic_faces.sampling import sample_face
from fercache.synthetic_faces.styles import DOMAINS, STYLES

# Increase with every change that alters a pixel or a sampled face: it is part of an image's identity.
RENDERER_VERSION = 4

__all__ = [
    "DOMAINS",
    "EXPRESSIONS",
    "RENDERER_VERSION",
    "STYLES",
    "ActionUnits",
    "Face",
    "Identity",
    "describe",
    "draw",
    "make_contact_sheet",
    "other_drawing",
    "sample_face",
]
