"""A finished run's head, ready to score."""

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError

from fercache import registry
from fercache.errors import UsageError, first_problem
from fercache.heads import Head, Task
from fercache.loading.run_config import NO_TRUNK, TRAIN_AGAIN, RunConfig, read_config
from fercache.plugins import Origin, same_code
from fercache.runtime.devices import resolve_device
from fercache.runtime.progress import say_once
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
    _say_changed_code(config)
    try:
        text = torch.from_numpy(run.snapshot(TASK)["text"]) if TASK in run.snapshots() else None
        task = Task(
            tuple(config.expressions),
            config.dimension,
            text,
            logit_scale=config.logit_scale,
            crop_side=config.crop_side,
        )
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
        where = f" It was trained with {config.head_from}." if config.head_from else ""
        raise UsageError(
            f"{folder} is a run of the head '{config.head}', which is not known here.{where} Name its file with "
            "--plugin FILE or in `plugins` of fercache.toml, or move the folder away."
        )


def origins_of(head: str, trunk: str) -> dict[str, Origin | None]:
    """Where a head and its trunk come from now, by the fields of RunConfig; None of ours."""
    found = registry.origin("trunks", trunk) if trunk != NO_TRUNK else None
    return {"head_from": registry.origin("heads", head), "trunk_from": found}


def _say_changed_code(config: RunConfig) -> None:
    """One line where the head or trunk of a run is another plugin than it was trained with, or has changed."""
    for what, now in origins_of(config.head, config.trunk).items():
        then: Origin | None = getattr(config, what)
        if not same_code(then, now):
            part = what.removesuffix("_from")
            say_once(
                f"warning: {config.name} was trained with the {part} of {then or 'fercache'}, and is read with that of "
                f"{now or 'fercache'}{', which has changed since' if str(then) == str(now) else ''}. Its scores may "
                "not be those of what was trained; `fercache train` trains it again."
            )
