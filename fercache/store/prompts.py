"""Prompt tables: the text of every prompt and its raw embedding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.errors import UsageError, nearest
from fercache.identity import canonical_json, key_of
from fercache.store.sealed import Attribute, FileKind, opened, save_sealed

PROMPTS = FileKind("prompt table", "fercache extract --encoder NAME")


@dataclass(frozen=True)
class PromptTable:
    """P prompts, the expression of each, embeddings (P, D) float32, and the encoder's logit scale."""

    path: Path
    identity: dict[str, Any]
    prompts: tuple[str, ...]
    expressions: tuple[str, ...]
    embeddings: NDArray[np.float32]
    logit_scale: float

    def per_expression(self, expressions: Sequence[str]) -> NDArray[np.float32]:
        """(L, D) means of each expression's raw embeddings. Raises UsageError for an expression without prompts."""
        owners = np.array(self.expressions, dtype=object)
        if lacking := [name for name in expressions if name not in self.expressions]:
            raise UsageError(
                f"{self.path} has no prompt for '{lacking[0]}'. {nearest(lacking[0], set(self.expressions))} "
                "Add sentences for it to the prompt file, and run the same `fercache extract` again."
            )
        return np.stack([self.embeddings[owners == name].mean(axis=0) for name in expressions])


def prompts_path(cache: Path, encoder: str, set_name: str, key: str) -> Path:
    """`cache/prompts/<encoder>/<set>-<key8>.h5`."""
    return cache / "prompts" / encoder / f"{set_name}-{key[:8]}.h5"


def write_prompts(
    path: Path,
    *,
    identity: Mapping[str, Any],
    prompts: Sequence[str],
    expressions: Sequence[str],
    embeddings: NDArray[np.float32],
    logit_scale: float,
) -> Path:
    """Writes a prompt table atomically. Raises ValueError if prompts, expressions, embeddings differ in number."""
    arrays = {
        "prompt": np.array(prompts, dtype=object),
        "expression": np.array(expressions, dtype=object),
        "embedding": np.asarray(embeddings, dtype=np.float32),
    }
    _check(arrays)
    attributes: dict[str, Attribute] = {
        "key": key_of(identity),
        "identity": canonical_json(identity),
        "logit_scale": float(logit_scale),
    }
    return save_sealed(path, PROMPTS, attributes, arrays=arrays)


def read_prompts(path: Path) -> PromptTable:
    """Raises UsageError if the table is absent, damaged or of a newer schema."""
    with opened(path, PROMPTS) as file:
        arrays = {name: file.array(name) for name in ("prompt", "expression", "embedding")}
        _check(arrays)
        identity = file.mapping("identity")
        if file.attributes["key"] != key_of(identity):
            raise ValueError("its key does not match its identity")
        scale = float(file.attributes["logit_scale"])
    return PromptTable(
        path,
        identity,
        tuple(arrays["prompt"]),
        expressions=tuple(arrays["expression"]),
        embeddings=arrays["embedding"],
        logit_scale=scale,
    )


def _check(arrays: Mapping[str, NDArray[Any]]) -> None:
    prompts, expressions, embeddings = arrays["prompt"], arrays["expression"], arrays["embedding"]
    if {prompts.dtype.kind, expressions.dtype.kind} != {"O"} or embeddings.dtype != np.float32 or embeddings.ndim != 2:
        raise ValueError("prompts and expressions are not text, or embeddings not (P, D) float32")
    if not prompts.shape == expressions.shape == embeddings.shape[:1]:
        raise ValueError(f"{len(prompts)} prompts, {len(expressions)} expressions, {len(embeddings)} embeddings")
