"""Prompts that an encoder reads otherwise than they were meant: too long, of words that it does not know, or alike."""

import sys
from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fercache.encoders import TextEncoder
from fercache.errors import UsageError
from fercache.prompts import Prompts

UNKNOWN = 10
"""Words that a message names."""
SAME = 1 - 1e-6
"""Cosine from which on two texts are one to an encoder."""


def embed(encoder: TextEncoder, prompts: Prompts) -> dict[str, NDArray[np.float32]]:
    """Raw embeddings (S, D) of the S sentences of each name."""
    whole = encoder.encode_texts([sentence for sentences in prompts.values() for sentence in sentences])
    parts = np.split(whole, np.cumsum([len(sentences) for sentences in prompts.values()])[:-1])
    return dict(zip(prompts, parts, strict=True))


def check_prompts(encoder: TextEncoder, prompts: Prompts, embedded: Mapping[str, NDArray[np.float32]]) -> None:
    """Warns of what the encoder does not read of the prompts. Raises UsageError where it cannot tell two of them apart.

    Two names are compared by the mean of their sentences, as `embed` has them.
    """
    for sentence in dict.fromkeys(sentence for sentences in prompts.values() for sentence in sentences):
        for remark in _remarks(encoder, sentence):
            print(f"warning: {remark}", file=sys.stderr)
    means = {name: rows.mean(axis=0) for name, rows in embedded.items()}
    units = {name: mean / max(float(np.linalg.norm(mean)), 1e-12) for name, mean in means.items()}
    for one, other in combinations(units, 2):
        if float(units[one] @ units[other]) >= SAME:
            raise UsageError(
                f"To {encoder.name} '{_short(one)}' and '{_short(other)}' are the same, so it cannot choose between "
                f"them.{_why(encoder, prompts, one)} Write them so that they differ in words that it reads."
            )


def _remarks(encoder: TextEncoder, sentence: str) -> list[str]:
    cut, unknown = encoder.cut_from(sentence), encoder.unknown_words(sentence)
    prompt, remarks = f"prompt '{_short(sentence)}'", []
    if cut:
        remarks.append(f"{prompt} is too long for {encoder.name}: cut from '{_short(cut)}' on.")
    if unknown:
        remarks.append(f"{prompt}: {encoder.name} does not know {', '.join(unknown[:UNKNOWN])}.")
    return remarks


def _why(encoder: TextEncoder, prompts: Mapping[str, tuple[str, ...]], name: str) -> str:
    return "".join(f" The {remark}" for remark in _remarks(encoder, prompts[name][0]))


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:40]} ... {text[-15:]}"
