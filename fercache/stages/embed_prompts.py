"""prompts -> embeddings, with warnings for prompts that an encoder cuts, does not know or cannot tell apart."""

import sys
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fercache.encoders import TextEncoder
from fercache.errors import UsageError
from fercache.identity import key_of
from fercache.prompts import BUILT_IN, Prompts, as_stored, prompt_set, set_label
from fercache.store.asked import last_asked, note_asked
from fercache.store.prompts import prompts_path, read_prompts, write_prompts

UNKNOWN = 10
"""Number of unknown words that a message names."""
SAME = 1 - 1e-6
"""Cosine at which an encoder cannot tell two texts apart."""


def embed(encoder: TextEncoder, prompts: Prompts) -> dict[str, NDArray[np.float32]]:
    """Raw embeddings (S, D) of the S sentences of each name."""
    whole = encoder.encode_texts([sentence for sentences in prompts.values() for sentence in sentences])
    parts = np.split(whole, np.cumsum([len(sentences) for sentences in prompts.values()])[:-1])
    return dict(zip(prompts, parts, strict=True))


def write_prompt_tables(cache: Path, encoder: TextEncoder, asked: str) -> None:
    """A table for each built-in set, and for the one asked for; those that are there already are kept."""
    for name in dict.fromkeys((*BUILT_IN, asked)):
        prompts = prompt_set(name)
        identity = {"encoder": encoder.key_text_identity(), "prompts": as_stored(prompts)}
        path = prompts_path(cache, encoder.name, set_label(name), key=key_of(identity))
        try:
            read_prompts(path)
        except UsageError:  # absent, or damaged
            embedded = embed(encoder, prompts)
            if name not in BUILT_IN:
                check_prompts(encoder, prompts, embedded)
            write_prompts(
                path,
                identity=identity,
                prompts=[sentence for expression in prompts for sentence in prompts[expression]],
                expressions=[expression for expression in prompts for _ in prompts[expression]],
                embeddings=np.concatenate(list(embedded.values())),
                logit_scale=encoder.logit_scale,
            )
        note_asked(path, [last_asked(table) for table in path.parent.glob("*.h5")])


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
