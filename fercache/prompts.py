"""Prompt sets: sentences that describe each expression."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from fercache.errors import UsageError, nearest
from fercache.expressions import EXPRESSIONS, canonical, first_expressions
from fercache.toml_files import read_toml

Prompts = Mapping[str, tuple[str, ...]]

_ADJECTIVE = {
    "surprise": "surprised",
    "fear": "fearful",
    "disgust": "disgusted",
    "happiness": "happy",
    "sadness": "sad",
    "anger": "angry",
    "neutral": "neutral",
    "contempt": "contemptuous",
}


def _an(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _ke2nt(expression: str) -> tuple[str, ...]:
    """The sentence of the KE2NT paper."""
    return (f"a photo of a person making {_an(expression)} facial expression.",)


def _faces(expression: str) -> tuple[str, ...]:
    """Six sentences, whose mean embedding is used in zero-shot classification."""
    adjective = _ADJECTIVE[expression]
    return (
        f"a photo of {_an(adjective)} face.",
        f"a photo of a person making {_an(expression)} facial expression.",
        f"a close-up of a person who looks {adjective}.",
        f"{_an(adjective)} expression on a face.",
        f"the face of {_an(adjective)} person.",
        "a face showing no emotion." if expression == "neutral" else f"a face showing {expression}.",
    )


_SETS = {"faces": _faces, "ke2nt": _ke2nt}
BUILT_IN = tuple(_SETS)


def prompt_set(name: str) -> Prompts:
    """The prompts of every expression: a built-in set, or a TOML file of `expression = ["sentence", ...]`.

    Raises UsageError for any other name, and for a file of another form.
    """
    if name in _SETS:
        return {expression: _SETS[name](expression) for expression in EXPRESSIONS}
    if name.endswith(".toml") or _is_file(name):
        return _read(Path(name))
    raise UsageError(
        f"There is no prompt set '{name}'. {nearest(name, _SETS)} Or give a .toml file. Text for `predict`: --sentence."
    )


def check_covers(name: str, expressions: Collection[str], of: str) -> None:
    """Raises UsageError if a prompt set lacks one of the seven basic `expressions` that faces of a dataset have.

    Contempt may be lacking: `train` leaves it out unless asked for it.
    """
    wanted = [expression for expression in first_expressions(7) if expression in expressions]
    if lacking := [expression for expression in wanted if expression not in prompt_set(name)]:
        line = f'{lacking[0]} = ["{_an(_ADJECTIVE[lacking[0]])} face"]'
        raise UsageError(
            f"{name} has no sentence for {', '.join(lacking)}, of which {of} has faces. Add a line for each, such as "
            f"{line}, or extract without --prompts. See docs/prompts.md."
        )


def prompts_to_choose_from(name: str | None, sentences: Sequence[str]) -> Prompts:
    """A prompt set, two or more sentences, each its own name, or without either the seven basic expressions.

    Raises UsageError for both, and for one sentence, whose probability would always be 1.
    """
    if name and sentences:
        raise UsageError(f"--prompts {name}: give a prompt set or sentences, not both.")
    chosen: Prompts = {sentence: (sentence,) for sentence in sentences}
    if not sentences:
        chosen = prompt_set(name) if name else {e: prompt_set("faces")[e] for e in first_expressions(7)}
    if len(chosen) == 1:
        (one,) = chosen
        raise UsageError(
            f"'{one}' alone would always be 100 %. Give two or more to choose from, such as "
            '--sentence "a smiling face" --sentence "a face without expression", or --prompts with a TOML file.'
        )
    return chosen


def _is_sentence(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long for a path, or with a NUL
        return False


def as_stored(prompts: Prompts) -> dict[str, list[str]]:
    """The prompts in a table's identity."""
    return {expression: list(sentences) for expression, sentences in prompts.items()}


def set_label(name: str) -> str:
    """The set's name in file names."""
    return Path(name).stem


def _read(file: Path) -> Prompts:
    form = 'Expected lines such as: happiness = ["a smiling face", "a happy person"].'
    prompts: dict[str, tuple[str, ...]] = {}
    for name, sentences in read_toml(file).items():
        if not isinstance(sentences, list) or not sentences or not all(map(_is_sentence, sentences)):
            raise UsageError(f"{file}: '{name}' is not a list of sentences. {form}")
        expression = canonical(name)
        if expression in prompts:
            raise UsageError(f"{file}: '{name}' is {expression}, which occurs twice. Write one list for each.")
        prompts[expression] = tuple(sentences)
    if not prompts:
        raise UsageError(f"{file} holds no prompts. {form}")
    return prompts
