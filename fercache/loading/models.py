"""The name of a trained model, of one run or of all seeds of a method -> its runs."""

import re
from collections.abc import Sequence
from pathlib import Path

from fercache.errors import UsageError
from fercache.loading.run_config import RunConfig, read_config
from fercache.loading.tables import find_run
from fercache.store.runs import find_runs

ZERO_SHOT = "zero-shot"
"""The model that compares faces with text, without training; runs of the head of this name are the same."""
PROMPTS = "faces"
"""Its prompt set by default."""
_KEY = re.compile(r"[0-9a-f]{8,}")


def find_model(cache: Path, model: str) -> tuple[str, list[Path]]:
    """A title and the folders of its runs: of one run, by name or key, or of all seeds of a method.

    A method is named as its head in reports (`linear-probe`), perhaps with its trunk (`sigmoid-mask-mlp`), as its runs
    without seed and key (`bundled-synthetic-studio-linear-probe-none`), or by its key. Raises UsageError if nothing or
    several things match.
    """
    finished = find_runs(cache)
    named = [folder for folder in finished if f"-{folder.name}".endswith(f"-{Path(model).name}")]
    methods: dict[str, list[RunConfig]] = {}
    for folder in finished if len(named) != 1 else []:
        if model in folder.name or _KEY.fullmatch(model):
            config = read_config(folder)[1]
            if model in _names(config) or (_KEY.fullmatch(model) and config.method_key.startswith(model)):
                methods.setdefault(config.method_key, []).append(config)
    if not methods:
        folder = find_run(finished, model)
        return folder.name, [folder]
    if len(methods) > 1:
        raise UsageError(_several(model, [each[0] for each in methods.values()]))
    seeds = sorted(next(iter(methods.values())), key=lambda config: (config.seed, config.name))
    return method_name(seeds[0]), [cache / "runs" / config.name for config in seeds]


def method_name(config: RunConfig) -> str:
    """The name of a run without seed and key: encoder-source-head-trunk."""
    return config.name.rsplit("-", 2)[0]


def _names(config: RunConfig) -> tuple[str, ...]:
    return config.head, f"{config.head}-{config.trunk}", method_name(config)


def _several(model: str, methods: Sequence[RunConfig]) -> str:
    names = [method_name(config) for config in methods]
    shown = [
        name if names.count(name) == 1 else f"{config.method_key[:12]} (as {config.name})"
        for name, config in zip(names, methods, strict=True)
    ]
    return f"'{model}' matches {len(methods)} methods. Name one of them: {', '.join(shown)}."
