"""A finished run's head, ready to score."""

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError

from fercache import registry
from fercache.errors import UsageError, first_problem
from fercache.heads import Head, Task
from fercache.loading.run_config import TRAIN_AGAIN, RunConfig, read_config
from fercache.runtime.devices import resolve_device
from fercache.store.runs import Run
from fercache.training import build_head

TASK = "task"
"""The entry beside a run's snapshots that holds the text embeddings its head was built with."""


@dataclass(frozen=True)
class LoadedRun:
    """A run and its head; `load_snapshot` chooses which of the kept weights the head has."""

    run: Run
    config: RunConfig
    head: Head
    device: str

    @property
    def snapshots(self) -> tuple[str, ...]:
        """Names of the kept weights, in order of training."""
        return tuple(name for name in self.run.snapshots() if name != TASK)

    def load_snapshot(self, name: str) -> None:
        """Gives the head the weights `name`. Raises UsageError where they are another head's."""
        state = {key: torch.from_numpy(value) for key, value in self.run.snapshot(name).items()}
        try:
            self.head.load_state_dict(state)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{self.run.folder}: its weights {name} do not fit its config.json: {reason}") from None
        self.head.eval()


def load_run(folder: Path, device: str = "auto") -> LoadedRun:
    """Builds the head of a finished run. Raises UsageError when the folder holds none that can be built."""
    run, config = read_config(folder)
    check_head(folder, config)
    plugin = registry.load("heads", config.head)
    try:
        text = torch.from_numpy(run.snapshot(TASK)["text"]) if TASK in run.snapshots() else None
        task = Task(tuple(config.expressions), config.dimension, text, config.logit_scale, config.crop_side)
        settings = plugin.Settings.model_validate(config.settings)
        where = resolve_device(device)
        head = build_head(plugin, task, settings, seed=0).to(where)
    except ValidationError as error:
        problem = first_problem(error)
        raise UsageError(f"{folder}/config.json: settings.{problem.name}: {problem.message}. {TRAIN_AGAIN}") from None
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise UsageError(f"{folder}: the head {config.head} cannot be built from it: {error}. {TRAIN_AGAIN}") from None
    return LoadedRun(run, config, head, where)


def check_head(folder: Path, config: RunConfig) -> None:
    """Raises UsageError for a run whose head is a plugin that is not here."""
    if config.head not in registry.names("heads"):
        raise UsageError(
            f"{folder} is a run of the head '{config.head}', which is not installed here. Put its file into "
            "fercache/heads, or move the folder away."
        )
