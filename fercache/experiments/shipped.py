"""The experiments that ship with the package: the files of `pipelines/`."""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fercache.errors import FercacheError, UsageError, nearest
from fercache.experiments.config import load_experiment
from fercache.experiments.run import RunRequest, run
from fercache.records import Record
from fercache.settings import Settings
from fercache.toml_files import is_file, read_toml

FOLDER = Path(__file__).parent / "pipelines"


def shipped_experiments() -> dict[str, str]:
    """The name of each, and the first sentence of its `about` text."""
    return {file.stem: _about(read_toml(file)) for file in sorted(FOLDER.glob("*.toml"))}


def own_experiments(folder: Path | None = None) -> dict[str, str]:
    """The same of the experiments in a folder (default: the working folder), by file; other files are left out."""
    found = {}
    for file in sorted((folder or Path()).glob("*.toml")):
        with suppress(UsageError):
            content = read_toml(file)
            if {"name", "heads"} <= content.keys():
                found[file.name] = _about(content)
    return found


def _about(content: Mapping[str, Any]) -> str:
    text = " ".join(str(content.get("about", "")).split())
    first = re.split(r"(?<=[a-z0-9])\. (?=[A-Z])", text)[0]
    return first if first.endswith((".", "?", "!")) or not first else f"{first}."


def experiment_file(text: Path) -> Path:
    """The user's file, else the shipped experiment of that name. Raises UsageError for neither."""
    shipped = FOLDER / f"{text}.toml"
    if text.suffix or len(text.parts) > 1 or is_file(text):
        return text
    if not is_file(shipped):
        known = nearest(str(text), shipped_experiments())
        raise UsageError(f"There is no file {text} and no shipped experiment of that name. {known}")
    return shipped


def demo(settings: Settings, device: str = "auto") -> tuple[Path, list[Record]]:
    """Runs `pipelines/demo.toml`, from studio to the other synthetic domains; returns the page and its records.

    Raises FercacheError when a step failed.
    """
    outcome = run(settings, RunRequest(experiment=load_experiment(FOLDER / "demo.toml"), device=device))
    if outcome.failures or outcome.page is None:
        raise FercacheError("; ".join(f"{failure.title}: {failure.reason}" for failure in outcome.failures))
    return outcome.page, outcome.records
