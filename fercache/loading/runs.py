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
from fercache.scoring.selection import choose, headline_of
from fercache.store.runs import Run
from fercache.training import build_head

TASK = "task"
"""The entry beside a run's snapshots that holds the text embeddings its head was built with."""


@dataclass(frozen=True)
class LoadedRun:
    """A run and its head; `load_snapshot` sets the head's weights."""

    run: Run
    config: RunConfig
    head: Head
    device: str

    @property
    def snapshots(self) -> tuple[str, ...]:
        """Names of the snapshots, in order of training."""
        return tuple(name for name in self.run.snapshots() if name != TASK)

    def temperature(self, snapshot: str) -> float | None:
        """The temperature fitted on (shifted) source validation; None for runs of earlier versions."""
        found = next((row.get("temperature") for row in self.run.history if row["snapshot"] == snapshot), None)
        return found if isinstance(found, float | int) else None

    def chosen(self, policy: str) -> str:
        """The snapshot of a selection policy that does not look at a target."""
        config = self.config
        return choose(policy, self.run.history, config.rows_chosen_by, too_few=config.too_few)

    def load_snapshot(self, name: str) -> None:
        """Loads the snapshot `name` into the head. Raises UsageError if it does not fit."""
        state = {key: torch.from_numpy(value) for key, value in self.run.snapshot(name).items()}
        try:
            self.head.load_state_dict(state)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{self.run.folder}: snapshot {name} does not fit config.json: {reason}") from None
        self.head.eval()


def load_run(folder: Path, device: str = "auto") -> LoadedRun:
    """Builds the head of a finished run. Raises UsageError if it cannot be built."""
    run, config = read_config(folder)
    check_head(folder, config)
    plugin = registry.load("heads", config.head)
    _warn_changed_code(config)
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
        raise UsageError(f"{folder}: the head {config.head} cannot be built: {error}. {TRAIN_AGAIN}") from None
    return LoadedRun(run, config, head, where)


def load_chosen(loaded: LoadedRun) -> str:
    """Loads the snapshot that the headline selection policy chooses; returns its name."""
    snapshot = loaded.chosen(headline_of(loaded.run.history))
    loaded.load_snapshot(snapshot)
    return snapshot


def check_head(folder: Path, config: RunConfig) -> None:
    """Raises UsageError for a run whose head is an unknown plugin."""
    if config.head not in registry.names("heads"):
        where = f" It was trained with {config.head_from}." if config.head_from else ""
        raise UsageError(
            f"{folder} is a run of the unknown head '{config.head}'.{where} Name its file with --plugin FILE or in "
            "`plugins` of fercache.toml, or move the folder away."
        )


def origins_of(head: str, trunk: str) -> dict[str, Origin | None]:
    """The current origins of a head and its trunk, by field of RunConfig; None for built-in ones."""
    found = registry.origin("trunks", trunk) if trunk != NO_TRUNK else None
    return {"head_from": registry.origin("heads", head), "trunk_from": found}


def _warn_changed_code(config: RunConfig) -> None:
    """Prints one line if the head or trunk of a run is now another plugin, or its code has changed."""
    for what, now in origins_of(config.head, config.trunk).items():
        then: Origin | None = getattr(config, what)
        if not same_code(then, now):
            part = what.removesuffix("_from")
            say_once(
                f"warning: {config.name} was trained with the {part} of {then or 'fercache'} and is now loaded with "
                f"that of {now or 'fercache'}{', which has changed since' if str(then) == str(now) else ''}. Its "
                "scores may differ; `fercache train` trains it again."
            )
