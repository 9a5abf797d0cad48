"""The state of a training run on disk, from which the same command continues."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fercache.errors import UsageError

FILE = "state.pt"


def save(path: Path, recipe: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Writes the `state` of a run of `recipe`; the file at `path` is always whole."""
    unfinished = path.with_suffix(".unfinished")
    torch.save({"recipe": dict(recipe), **state}, unfinished)
    unfinished.replace(path)


def read(path: Path, recipe: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state that was saved; None if there is none. Raises UsageError for that of another recipe, or no state."""
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = torch.load(path, weights_only=True)
        saved = found.pop("recipe")
    except Exception as error:
        raise UsageError(f"{path} is not the state of a training run ({error}). Delete it to start again.") from error
    if different := [name for name in recipe if saved.get(name) != recipe[name]]:
        raise UsageError(
            f"{path} is the state of another recipe (different: {', '.join(different)}). Give another folder as --out, "
            "or empty this one."
        )
    return found
