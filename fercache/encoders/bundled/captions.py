"""Sentences around the words of `wordings.py`: of one expression, of one attribute, or of several at once."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fercache.encoders.bundled.wordings import (
    ADJECTIVE_FRAMES,
    EXPRESSION_WORDS,
    FRAMES,
    JOINS,
    MEDIA,
    NOUN_FRAMES,
    PHRASES,
    SUBJECTS,
)

VALUES: Mapping[str, tuple[str, ...]] = {attribute: tuple(values) for attribute, values in PHRASES.items()}
MIRROR = {"left": "right", "right": "left", "tilted left": "tilted right", "tilted right": "tilted left"}
COLOURED_STYLES = (
    "cartoon",
    "pastel",
    "watercolour",
    "painting",
    "polaroid",
)  # the others do not show the colour of hair

_MOUTHS = {
    "tongue out": "tongue",
    "smiling with teeth": "smiling with teeth",
    "smiling with closed lips": "smiling with closed lips",
    "teeth bared": "teeth bared",
    "mouth open": "open",
    "lips pressed together": "pressed",
    "corners of the mouth down": "down",
    "mouth closed": "closed",
}
_GLASSES = {
    "without glasses": "none",
    "wearing round glasses": "round",
    "wearing square glasses": "square",
    "wearing sunglasses": "dark",
}
_BEARDS = {
    "clean-shaven": "none",
    "with stubble": "stubble",
    "with a moustache": "moustache",
    "with a goatee": "goatee",
}
_POSES = {
    "facing the camera": "frontal",
    "head turned to the right": "right",
    "head turned to the left": "left",
    "looking down": "down",
    "looking up": "up",
    "head tilted to the right": "tilted right",
    "head tilted to the left": "tilted left",
}
_LIGHTS = {"evenly lit": "even", "lit from the right": "right", "lit from the left": "left"}
_AGES = {"a young person": "young", "a middle-aged person": "middle", "an old person": "old"}


def values_of(words: Mapping[str, str], style: str) -> dict[str, str]:
    """The value of every attribute that a synthetic face shows, from its description in words."""
    frames, mouth, pose = _GLASSES[words["glasses"]], _MOUTHS[words["mouth"]], _POSES[words["pose"]]
    values = {
        "frames": frames,
        "glasses": "no" if frames == "none" else "yes",
        "mouth": mouth,
        "smile": "yes" if mouth.startswith("smiling") else "no",
        "opening": "yes" if mouth in ("tongue", "smiling with teeth", "teeth bared", "open") else "no",
        "pose": pose,
        "light": _LIGHTS[words["light"]],
        "hair": words["hair"].split(" ")[0],
        "beard": _BEARDS.get(words["beard"], "full"),
        "age": _AGES[words["age"]],
        "style": style,
    }
    if pose in ("frontal", "left", "right"):
        values["turn"] = "no" if pose == "frontal" else "yes"
    if style in COLOURED_STYLES and words["hair"] != "bald":
        values["colour"] = words["hair"].split(" ")[1]
    return values


def indices_of(values: Mapping[str, str]) -> list[int]:
    """The index of each attribute's value in `VALUES`, -1 if the face does not show it, or shows another value."""
    return [known.index(values[name]) if values.get(name) in known else -1 for name, known in VALUES.items()]


def _choice(options: Sequence[str], random: np.random.Generator) -> str:
    return options[int(random.integers(len(options)))]


def sentence(phrase: str, random: np.random.Generator) -> str:
    """A sentence around a phrase that follows a subject."""
    return _choice(FRAMES, random).format(
        medium=_choice(MEDIA, random), subject=_choice(SUBJECTS, random), phrase=phrase
    )


def expression_sentences(expressions: Sequence[str], random: np.random.Generator) -> list[str]:
    """One sentence for each expression, all of the same form."""
    form = random.random()
    if form < 0.25:
        return [sentence(_choice(EXPRESSION_WORDS[name].phrases, random), random) for name in expressions]
    frame = _choice(NOUN_FRAMES if form < 0.6 else ADJECTIVE_FRAMES, random)
    around = {"medium": _choice(MEDIA, random), "subject": _choice(SUBJECTS, random)}
    words = [EXPRESSION_WORDS[name].nouns if form < 0.6 else EXPRESSION_WORDS[name].adjectives for name in expressions]
    return [frame.format(word=_choice(options, random), **around) for options in words]


def attribute_sentences(attribute: str, random: np.random.Generator) -> list[str]:
    """One sentence for each value of an attribute, all of the same form except for the value."""
    frame = _choice(FRAMES, random)
    around = {"medium": _choice(MEDIA, random), "subject": _choice(SUBJECTS, random)}
    return [frame.format(phrase=_choice(options, random), **around) for options in PHRASES[attribute].values()]


def caption(expression: str, indices: NDArray[np.int64], named: NDArray[np.bool_], random: np.random.Generator) -> str:
    """One sentence that names the `expression` (unless empty) and the attributes marked in `named`, in random order."""
    phrases = [
        _choice(PHRASES[attribute][VALUES[attribute][index]], random)
        for attribute, index, is_named in zip(VALUES, indices, named, strict=True)
        if is_named
    ]
    if expression:
        phrases.append(_choice([f"who looks {word}" for word in EXPRESSION_WORDS[expression].adjectives], random))
    random.shuffle(phrases)
    return sentence(_choice(JOINS, random).join(phrases), random)


def every_sentence() -> list[str]:
    """Sentences that together hold every word of the captions."""
    words = [
        option
        for wording in EXPRESSION_WORDS.values()
        for option in (*wording.nouns, *wording.adjectives, *wording.phrases)
    ]
    phrases = [phrase for values in PHRASES.values() for options in values.values() for phrase in options]
    return [*words, *phrases, *MEDIA, *SUBJECTS, *FRAMES, *NOUN_FRAMES, *ADJECTIVE_FRAMES, *JOINS, "who looks,"]
