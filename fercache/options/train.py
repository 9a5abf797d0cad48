"""Options of `fercache train`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from fercache.identity import MOST_SEEDS
from fercache.options import (
    EngineOptions,
    Options,
    device_option,
    encoder_option,
    labels_option,
    option,
    votes_option,
)
from fercache.policies import VotePolicy
from fercache.splits import POOL


def _read_seeds(given: Any) -> Any:
    """`0-4`, `7`, `0,2,5` -> seeds."""
    if not isinstance(given, str):
        return given
    seeds: list[int] = []
    for part in given.split(","):
        first, _, last = part.strip().partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()) or int(last or first) < int(first):
            raise ValueError("write one seed (7), a range (0-4), or a list (0,2,5)")
        if int(last or first) - int(first) >= MOST_SEEDS:
            raise ValueError(f"at most {MOST_SEEDS:,} seeds are allowed")
        seeds += range(int(first), int(last or first) + 1)
    return tuple(dict.fromkeys(seeds))


def _read_pairs(given: Any) -> Any:
    """`("learning_rate=1e-3",)` -> names and values."""
    if isinstance(given, Mapping):
        return given
    for pair in given:
        if "=" not in pair:
            raise ValueError("write NAME=VALUE, e.g. learning_rate=1e-3")
    pairs = (pair.partition("=") for pair in given)
    return {name.strip().replace("-", "_"): value.strip() for name, _, value in pairs}


def _read_source(given: Any) -> Any:
    return given if isinstance(given, str) else POOL.join(given)


SourceName = Annotated[str, BeforeValidator(_read_source)]
"""One dataset, or several pooled, `A & B`; also read from a list."""
Seed = Annotated[int, Field(strict=True, ge=0)]
Seeds = Annotated[tuple[Seed, ...], BeforeValidator(_read_seeds), Field(min_length=1, max_length=MOST_SEEDS)]


class LearningOptions(Options):
    """Options that change a run besides its source, head and seed. Experiments and stored runs have these too.

    A field that is not at its default is part of a run's key, unless it is marked `in_key=False`.
    """

    classes: Annotated[int, Field(ge=7, le=8)] = option(7, "Number of expressions; 8 adds contempt.", in_key=False)
    votes: VotePolicy = votes_option("How rater votes become labels.")
    labels: str | None = labels_option()
    faces: int | None = option(
        None, "Subsample the source to about N faces, stratified by expression.", metavar="N", ge=2, in_key=False
    )
    few: Path | None = option(
        None,
        "List of a few labelled faces of a target to learn from as well, written by `fercache suggest TARGET "
        "--for training`.",
        metavar="FILE.csv",
        in_key=False,
    )
    keep_validation_copies: bool = option(
        False, "Keep source validation faces whose image is also in the training rows.", in_key=False
    )

    def identity(self) -> dict[str, Any]:
        """The fields that belong to a run's key and are not at their defaults."""
        return {
            name: getattr(self, name)
            for name, field in LearningOptions.model_fields.items()
            if (field.json_schema_extra or {}).get("in_key", True) and getattr(self, name) != field.default  # type: ignore[union-attr]
        }


class TrainRequest(LearningOptions, EngineOptions):
    """Which heads to train on which source: one dataset, or several pooled, `A & B`.

    `set` overrides head settings by name; the values may be strings.
    """

    heads: tuple[str, ...] = option(
        ("sigmoid-mask", "text-similarity"),
        "Head to train; repeatable.",
        flag="head",
        shown="sigmoid-mask, and text-similarity where the encoder has text",
    )
    source: SourceName = option(
        "synthetic:studio",
        "Dataset to train on, NAME[@SPLIT]; repeatable, several are pooled.",
        shown="synthetic:studio",
        repeatable=True,
    )
    encoder: str | None = encoder_option()
    seeds: Seeds = option((0, 1, 2, 3, 4), "Seeds: one (7), a range (0-4) or a list (0,2,5).", shown="0-4")
    set: Annotated[Mapping[str, Any], BeforeValidator(_read_pairs)] = option(
        {}, "Setting of a head, e.g. learning_rate=1e-3; repeatable.", metavar="NAME=VALUE", repeatable=True
    )
    prompts: str = option("faces", "Prompt set, as extracted: faces, ke2nt, or a TOML file.")
    device: str = device_option()
