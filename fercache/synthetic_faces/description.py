"""A face in plain words, for captions."""

from fercache.synthetic_faces.anatomy import Face
from fercache.synthetic_faces.geometry import mouth
from fercache.synthetic_faces.styles import style_named


def describe(face: Face) -> dict[str, str]:
    """A phrase for each aspect of an image (the keys); `expression` is its plain name."""
    return {
        "expression": face.expression,
        "style": style_named(face.style).phrase,
        "light": light(face),
        "pose": pose(face),
        "hair": "bald" if face.hair == "bald" else f"{HAIR_WORDS[face.hair]} {face.hair_colour} hair",
        "glasses": GLASSES_WORDS[face.glasses],
        "beard": BEARD_WORDS[face.beard],
        "age": "a young person" if face.age < 0.4 else "a middle-aged person" if face.age < 0.7 else "an old person",
        "skin": f"{face.skin} skin",
        "mouth": mouth_words(face),
    }


HAIR_WORDS = {
    "short": "short",
    "side-parted": "side-parted",
    "fringe": "fringed",
    "long": "long",
    "bob": "chin-length",
    "curly": "curly",
}
GLASSES_WORDS = {
    "none": "without glasses",
    "round": "wearing round glasses",
    "square": "wearing square glasses",
    "sunglasses": "wearing sunglasses",
}
BEARD_WORDS = {
    "none": "clean-shaven",
    "stubble": "with stubble",
    "moustache": "with a moustache",
    "goatee": "with a goatee",
    "full": "with a full beard",
}


def light(face: Face) -> str:
    """The direction of the light, as seen in the image."""
    across, _ = face.light
    if abs(across) < 0.18:
        return "evenly lit"
    return "lit from the right" if across > 0 else "lit from the left"


def pose(face: Face) -> str:
    """The pose of the head, as seen in the image; the largest turn counts."""
    turns = {
        "head turned to the right": face.yaw / 12,
        "head turned to the left": -face.yaw / 12,
        "head tilted to the right": face.roll / 9,
        "head tilted to the left": -face.roll / 9,
        "looking down": face.pitch / 8,
        "looking up": -face.pitch / 8,
    }
    phrase = max(turns, key=lambda words: turns[words])
    return phrase if turns[phrase] >= 1 else "facing the camera"


def mouth_words(face: Face) -> str:
    """The state of the mouth."""
    units, opening = face.action_units, mouth(face).opening
    if units.tongue_show > 0.3:
        return "tongue out"
    if units.lip_corner_puller > 0.35:
        return "smiling with teeth" if opening > 0.05 else "smiling with closed lips"
    if units.lower_lip_depressor > 0.3:
        return "teeth bared"
    if opening > 0.05:
        return "mouth open"
    if units.lip_pressor > 0.3:
        return "lips pressed together"
    if units.lip_corner_depressor > 0.35:
        return "corners of the mouth down"
    return "mouth closed"
