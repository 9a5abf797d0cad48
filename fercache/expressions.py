"""The expressions by name, and their aliases."""

from collections.abc import Mapping, Sequence

from fercache.errors import UsageError, nearest

EXPRESSIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral", "contempt")
"""The papers' order (RAF-DB's), with contempt as the eighth."""

# The codes of two or three letters are those of JAFFE, KDEF (AF), NimStim (SP), the Chicago Face Database (HC, HO) and
# CREMA-D. Single letters are left out: S is sadness to some and surprise to others.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "surprise": ("surprised", "surprise", "suprise", "sur", "su", "sp"),
    "fear": ("fear", "fearful", "afraid", "scared", "fea", "fe", "af"),
    "disgust": ("disgust", "disgusted", "disg", "dis", "di"),
    "happiness": ("happiness", "happy", "joy", "joyful", "smile", "hap", "ha", "hc", "ho"),
    "sadness": ("sadness", "sad", "sa"),
    "anger": ("anger", "angry", "ang", "an"),
    "neutral": ("neutral", "neutrality", "calm", "neu", "ne"),
    "contempt": ("contempt", "contemptuous", "contemptous", "con", "co"),
}

NAME_OF_ALIAS = {alias: name for name, aliases in ALIASES.items() for alias in aliases}


def canonical(name: str) -> str:
    """The expression that `name` means. Raises UsageError with the known aliases if there is none."""
    found = NAME_OF_ALIAS.get(name.strip().lower())
    if found is None:
        raise UsageError(f"'{name}' is not an expression. {nearest(name.lower(), NAME_OF_ALIAS)}")
    return found


def aliases_of(expressions: Sequence[str]) -> Mapping[str, str]:
    """Every alias of the `expressions`, in lower case, with its expression."""
    return {alias: name for alias, name in NAME_OF_ALIAS.items() if name in expressions}


def first_expressions(count: int) -> tuple[str, ...]:
    """The seven basic expressions, or all eight. Raises UsageError for any other count."""
    if count not in (7, 8):
        raise UsageError(f"--classes takes 7 or 8 (8 adds contempt), not {count}.")
    return EXPRESSIONS[:count]
