"""The words that the bundled encoder learns: attributes of a face, their values, and many ways to say each.

The wordings that its card has scores for (`scores.py`) are none of these.
"""

from collections.abc import Mapping
from dataclasses import dataclass

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
        "watercolour": ("in a watercolour", "painted in watercolour", "in washed-out paint"),
        "engraving": ("in an engraving", "engraved in lines", "in an old print"),
        "painting": ("in an oil painting", "painted in oil", "in a painting"),
        "polaroid": ("in a faded colour photograph", "on an old polaroid", "in a faded snapshot"),
        "pixels": ("in pixel art", "in a game with few pixels", "in coarse pixels"),
        "thermal": ("in a thermal image", "seen by a thermal camera", "in false colours"),
    },
}
