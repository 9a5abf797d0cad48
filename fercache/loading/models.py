"""The name of a trained model, of one run or of all seeds of a method -> its runs."""

from pathlib import Path

from fercache.loading.run_config import RunConfig
from fercache.loading.run_names import is_of_one_run, resolve
from fercache.store.runs import find_runs

ZERO_SHOT = "zero-shot"
"""The model that compares faces with text, without training; runs of the head of this name are the same."""
PROMPTS = "faces"
"""Its prompt set by default."""


def find_model(cache: Path, model: str) -> tuple[str, list[Path]]:
    """A title and the folders of its runs: of one run, or of all seeds of a method (see `run_names`).

    Raises UsageError if nothing or several things match.
    """
    folders = resolve(find_runs(cache), model)
    run = folders[0]
    return run.name if is_of_one_run(run, model) else run.name.rsplit("-", 2)[0], folders


def method_name(config: RunConfig) -> str:
    """The name of a run without seed and key: encoder-source-head-trunk."""
    return config.name.rsplit("-", 2)[0]
