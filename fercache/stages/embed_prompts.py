"""prompts -> embeddings, with warnings for prompts that an encoder cuts, does not know or cannot tell apart."""

import sys
from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fercache.encoders import TextEncoder
from fercache.errors import UsageError
from fercache.prompts import Prompts

UNKNOWN = 10
"""Number of unknown words that a message names."""
SAME = 1 - 1e-6
"""Cosine at which an encoder cannot tell two texts apart."""


def embed(encoder: TextEncoder, prompts: Prompts) -> dict[str, NDArray[np.float32]]:
    """Raw embeddings (S, D) of the S sentences of each name."""
    whole = encoder.encode_texts([sentence for sentences in prompts.values() for sentence in sentences])
    parts = np.split(whole, np.cumsum([len(sentences) for sentences in prompts.values()])[:-1])
    return dict(zip(prompts, parts, strict=True))


def check_prompts(encoder: TextEncoder, prompts: Prompts, embedded: Mapping[str, NDArray[np.float32]]) -> None:
    """Warns of prompts that the encoder reads only in part. Raises UsageError if it cannot tell two names apart.

    Names are compared by the mean of their `embedded` sentences (S, D).
    """
    for sentence in dict.fromkeys(sentence for sentences in prompts.values() for sentence in sentences):
        for remark in _remarks(encoder, sentence):
            print(f"warning: {remark}", file=sys.stderr)
    means = {name: rows.mean(axis=0) for name, rows in embedded.items()}
    units = {name: mean / max(float(np.linalg.norm(mean)), 1e-12) for name, mean in means.items()}
    for one, other in combinations(units, 2):
        if float(units[one] @ units[other]) >= SAME:
            raise UsageError(
                f"{encoder.name} cannot tell '{_short(one)}' and '{_short(other)}' apart."
                f"{_why(encoder, prompts, one)} Make them differ in words that the encoder reads."
            )


def _remarks(encoder: TextEncoder, sentence: str) -> list[str]:
    cut, unknown = encoder.cut_from(sentence), encoder.unknown_words(sentence)
    prompt, remarks = f"prompt '{_short(sentence)}'", []
    if cut:
        remarks.append(f"{prompt} is too long for {encoder.name}: cut at '{_short(cut)}'.")
    if unknown:
        remarks.append(f"{prompt}: {encoder.name} does not know {', '.join(unknown[:UNKNOWN])}.")
    return remarks


def _why(encoder: TextEncoder, prompts: Mapping[str, tuple[str, ...]], name: str) -> str:
    return "".join(f" The {remark}" for remark in _remarks(encoder, prompts[name][0]))


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:40]} ... {text[-15:]}"
