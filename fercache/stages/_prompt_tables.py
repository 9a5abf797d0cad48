"""Prompt tables: the embedded sentences of prompt sets."""

from pathlib import Path

import numpy as np

from fercache.encoders import TextEncoder
from fercache.errors import UsageError
from fercache.identity import key_of
from fercache.prompts import BUILT_IN, as_stored, prompt_set, set_label
from fercache.stages.embed_prompts import check_prompts, embed
from fercache.store.asked import last_asked, note_asked
from fercache.store.prompts import prompts_path, read_prompts, write_prompts


def write_prompt_tables(cache: Path, encoder: TextEncoder, asked: str) -> None:
    """Writes a table for each built-in prompt set and for the requested one, unless it exists."""
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
