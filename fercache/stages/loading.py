"""A finished run's head, ready to score."""

from dataclasses import dataclass
from pathlib import Path

import torch

from fercache import registry
from fercache.devices import resolve_device
from fercache.heads import Head, Task
from fercache.stages.run_config import RunConfig, read_config
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
        """Gives the head the weights `name`."""
        state = {key: torch.from_numpy(value) for key, value in self.run.snapshot(name).items()}
        self.head.load_state_dict(state)
        self.head.eval()


def load_run(folder: Path, device: str = "auto") -> LoadedRun:
    """Builds the head of a finished run. Raises UsageError when the folder holds none."""
    run, config = read_config(folder)
    plugin = registry.load("heads", config.head)
    text = torch.from_numpy(run.snapshot(TASK)["text"]) if TASK in run.snapshots() else None
    task = Task(tuple(config.expressions), config.dimension, text, config.logit_scale, config.crop_side)
    settings = plugin.Settings.model_validate(config.settings)
    where = resolve_device(device)
    head = build_head(plugin, task, settings, seed=0).to(where)
    return LoadedRun(run, config, head, where)
