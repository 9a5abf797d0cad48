"""The words that the bundled encoder learns: attributes of a face, their values, and many ways to say each.

A caption names one or several attributes. The wordings that its card reports scores for (`scores.py`) are none of these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MEDIA = (
    "a photo",
    "a picture",
    "an image",
    "a portrait",
    "a close-up",
    "a snapshot",
    "a photo of the face",
    "a cropped photo",
)
SUBJECTS = (
    "a person",
    "someone",
    "somebody",
    "a man",
    "a woman",
    "a human face",
    "this person",
    "one person",
    "a boy",
    "a girl",
    "a child",
)
FRAMES = (
    "{medium} of {subject} {phrase}",
    "{medium} of {subject} {phrase}.",
    "{subject} {phrase}",
    "this is {subject} {phrase}",
    "a face: {subject} {phrase}",
    "there is {subject} {phrase}",
)
NOUN_FRAMES = (
    "a photo of a person making a {word} facial expression.",
    "{medium} of {subject} making a {word} facial expression",
    "{subject} showing {word}",
    "a face full of {word}",
    "a facial expression of {word}",
    "{medium} of {subject} expressing {word}",
    "a look of {word} on the face",
    "the emotion on this face is {word}",
    "the expression is {word}",
    "{word}",
)
ADJECTIVE_FRAMES = (
    "{medium} of {subject} who looks {word}",
    "{subject} looking {word}",
    "{subject} who is {word}",
    "a {word} face",
    "{medium} of a {word} face.",
    "a {word} person",
    "{subject} with a {word} expression",
    "{subject} feeling {word}",
    "{subject} who seems {word}",
    "he looks {word}",
    "someone who looks very {word}",
    "a really {word} man",
    "a very {word} woman",
    "a {word} child",
    "their faces are {word}",
    "it looks like {subject} is {word}",
    "she is {word}",
    "{word}",
)
JOINS = (", ", " and ", ", and ", " while ", " but ")


@dataclass(frozen=True)
class Wording:
    """How to say one expression: nouns, adjectives, and phrases that follow a subject."""

    nouns: tuple[str, ...]
    adjectives: tuple[str, ...]
    phrases: tuple[str, ...]


EXPRESSION_WORDS: Mapping[str, Wording] = {
    "surprise": Wording(
        ("surprise", "astonishment", "amazement"),
        ("surprised", "astonished", "amazed", "startled", "shocked"),
        ("with raised eyebrows and wide open eyes", "gasping with surprise", "with the mouth wide open in surprise"),
    ),
    "fear": Wording(
        ("fear", "terror", "fright"),
        ("afraid", "scared", "fearful", "frightened", "terrified"),
        ("who is scared of something", "screaming with fear", "with fear in the eyes"),
    ),
    "disgust": Wording(
        ("disgust", "revulsion"),
        ("disgusted", "revolted"),
        ("wrinkling the nose in disgust", "who smells something bad", "with a wrinkled nose"),
    ),
    "happiness": Wording(
        ("happiness", "joy", "delight"),
        ("happy", "joyful", "cheerful", "glad", "delighted", "smiling", "laughing"),
        ("smiling happily", "laughing", "with a happy smile", "laughing out loud with joy", "having fun"),
    ),
    "sadness": Wording(
        ("sadness", "sorrow", "grief"),
        ("sad", "unhappy", "sorrowful", "miserable", "depressed", "crying"),
        ("crying", "who is about to cry", "in tears", "with sad eyes", "weeping with sorrow"),
    ),
    "anger": Wording(
        ("anger", "rage", "fury"),
        ("angry", "furious", "mad", "enraged", "annoyed"),
        ("frowning with anger", "shouting in rage", "with lowered eyebrows and an angry look", "yelling", "scowling"),
    ),
    "neutral": Wording(
        ("neutral", "no emotion", "calm"),
        ("neutral", "calm", "expressionless", "relaxed"),
        ("with a blank look", "without any expression", "showing no emotion", "with a neutral face"),
    ),
    "contempt": Wording(
        ("contempt", "scorn", "disdain"),
        ("contemptuous", "scornful", "disdainful"),
        (
            "smirking with contempt",
            "with one corner of the mouth raised in scorn",
            "looking down on others with disdain",
        ),
    ),
}

PHRASES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "glasses": {
        "yes": (
            "wearing glasses",
            "with glasses",
            "with spectacles",
            "in spectacles",
            "who wears eyeglasses",
            "with a pair of glasses on",
            "who has glasses on the nose",
            "with eyes behind lenses",
            "with frames around the eyes",
        ),
        "no": (
            "without glasses",
            "with no glasses",
            "not wearing glasses",
            "without spectacles",
            "who wears no eyeglasses",
            "with nothing on the nose",
            "with bare eyes",
            "without frames",
            "with no lenses before the eyes",
        ),
    },
    "frames": {
        "none": ("without glasses", "with bare eyes", "wearing no glasses"),
        "round": ("wearing round glasses", "with round spectacles", "with round frames"),
        "square": ("wearing square glasses", "with square spectacles", "with square frames"),
        "dark": (
            "wearing sunglasses",
            "with dark glasses",
            "with black lenses",
            "whose eyes are hidden behind sunglasses",
        ),
    },
    "smile": {
        "yes": (
            "smiling",
            "with a smile",
            "grinning",
            "with a big smile",
            "who smiles",
            "with a smile on the face",
            "with a wide smile",
            "with a broad grin",
            "who is grinning",
            "with the corners of the mouth up",
        ),
        "no": (
            "not smiling",
            "without a smile",
            "with no smile",
            "who does not smile",
            "with a straight face",
            "without a grin",
            "who is not grinning",
            "with no grin on the face",
        ),
    },
    "mouth": {
        "tongue": ("with the tongue out", "sticking out the tongue", "showing the tongue"),
        "smiling with teeth": (
            "smiling with teeth",
            "with a smile that shows the teeth",
            "with a toothy grin",
            "laughing",
        ),
        "smiling with closed lips": ("smiling with closed lips", "with a closed smile", "with a gentle smile"),
        "teeth bared": ("with bared teeth", "baring the teeth", "with clenched teeth showing"),
        "open": ("with an open mouth", "with the mouth open", "whose mouth is open", "with a dropped jaw"),
        "pressed": ("with lips pressed together", "pressing the lips", "with tight lips"),
        "down": (
            "with the corners of the mouth down",
            "with a mouth turned down",
            "with drooping corners of the mouth",
        ),
        "closed": ("with a closed mouth", "with the mouth closed", "with closed lips at rest"),
    },
    "opening": {
        "yes": (
            "with an open mouth",
            "with the mouth open",
            "mouth open",
            "with her mouth open",
            "with his mouth wide open",
            "with parted lips",
        ),
        "no": (
            "with a closed mouth",
            "with the mouth closed",
            "mouth closed",
            "with her mouth closed",
            "with his mouth shut",
            "with lips together",
        ),
    },
    "pose": {
        "frontal": (
            "facing the camera",
            "looking straight ahead",
            "looking straight into the camera",
            "with a straight head",
        ),
        "right": ("with the head turned to the right", "facing right", "looking to the right", "turned right"),
        "left": ("with the head turned to the left", "facing left", "looking to the left", "turned left"),
        "tilted right": ("with the head tilted to the right", "leaning the head to the right"),
        "tilted left": ("with the head tilted to the left", "leaning the head to the left"),
        "down": ("looking down", "with the head lowered", "with the head bent down"),
        "up": ("looking up", "with the head raised", "with the chin up"),
    },
    "turn": {
        "yes": (
            "with the head turned",
            "looking away",
            "with the head turned to the side",
            "looking to the side",
            "seen from the side",
            "looking sideways",
            "turned away from the camera",
            "who turns the face to one side",
            "from the side",
        ),
        "no": (
            "facing the camera",
            "looking straight ahead",
            "seen from the front",
            "looking at the camera",
            "in front view",
            "turned toward the camera",
            "with the head straight",
            "who faces us",
            "from the front",
        ),
    },
    "light": {
        "even": ("evenly lit", "in even light", "in soft light", "with light from the front"),
        "right": ("lit from the right", "with light from the right", "with a shadow on the left"),
        "left": ("lit from the left", "with light from the left", "with a shadow on the right"),
    },
    "hair": {
        "bald": ("who is bald", "with no hair", "with a bald head", "without hair"),
        "short": ("with short hair", "whose hair is short"),
        "side-parted": ("with side-parted hair", "with hair parted on the side"),
        "fringed": ("with a fringe", "with fringed hair", "with hair over the forehead"),
        "long": ("with long hair", "whose hair is long", "with long straight hair"),
        "chin-length": ("with chin-length hair", "with a bob", "with hair down to the chin"),
        "curly": ("with curly hair", "with curls", "whose hair is curly"),
    },
    "colour": {
        colour: (f"with {colour} hair", f"whose hair is {colour}", f"who has {colour} hair")
        for colour in ("black", "brown", "blond", "red", "grey")
    },
    "beard": {
        "none": ("who is clean-shaven", "without a beard", "with no beard"),
        "stubble": ("with stubble", "who is unshaven"),
        "moustache": ("with a moustache", "who wears a moustache"),
        "goatee": ("with a goatee", "with a small beard on the chin"),
        "full": ("with a full beard", "with a big beard", "who is bearded"),
    },
    "age": {
        "young": ("who is young", "in young years", "of young age", "with smooth skin"),
        "middle": ("who is middle-aged", "of middle age", "in middle years"),
        "old": ("who is old", "of old age", "with wrinkles", "who is elderly"),
    },
    "style": {
        "cartoon": ("drawn as a cartoon", "in a cartoon with bold outlines", "in a comic"),
        "poster": ("on a poster in few colours", "printed as a poster", "in flat colours"),
        "pastel": ("in a pastel drawing", "drawn in pastel", "in pale colours"),
        "mono": ("in a black-and-white photograph", "in black and white", "in a grey photograph"),
        "clay": ("as a clay figure", "made of clay", "as a sculpture"),
        "halftone": ("in a halftone newspaper print", "printed in a newspaper", "printed in dots"),
    },
}

VALUES: Mapping[str, tuple[str, ...]] = {attribute: tuple(values) for attribute, values in PHRASES.items()}
MIRROR = {"left": "right", "right": "left", "tilted left": "tilted right", "tilted right": "tilted left"}
COLOURED_STYLES = ("cartoon", "pastel")  # the others do not show the colour of hair

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
    """The value of every attribute that a drawn face shows, from its description in words."""
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
    """The place of each attribute's value in `VALUES`, -1 where the face does not show it (a style unseen in training, say)."""
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
    """One sentence for each value of an attribute, all of the same form: only the value tells them apart."""
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
