"""Options of `fercache suggest`."""

from pathlib import Path
from typing import Literal

from fercache.options import Options, device_option, encoder_option, option


class SuggestRequest(Options):
    """Which faces of an extracted dataset to label. Labels that are there are not read."""

    target: str = option(..., "Extracted dataset, NAME[@SPLIT].", argument=True)
    count: int = option(50, "Faces to label.", ge=1)
    purpose: Literal["estimate", "training"] = option(
        "estimate",
        "What the labels are for: estimate, to estimate scores of runs (a random sample with known probabilities), or "
        "training, for `train --few` (uncertain and diverse faces of every predicted expression, without those that a "
        "run has learned from).",
        flag="for",
    )
    runs: tuple[str, ...] = option(
        (), "Name or key of a run; repeatable.", flag="run", shown="one of every method, and text similarity"
    )
    encoder: str | None = encoder_option()
    seed: int = option(0, "Seed of the sample.", ge=0)
    out: Path | None = option(None, "File for the list. [default: suggest-TARGET/faces.csv in reports/]")
    device: str = device_option()
