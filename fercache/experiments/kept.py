"""Which tables and runs experiments refer to, so that `cache gc` keeps them.

These are the experiments in the working folder and those that ship with fercache; nothing else says which files are
experiments.
"""

from collections.abc import Iterator
from contextlib import redirect_stderr
from functools import cache
from io import StringIO
from pathlib import Path

from fercache.experiments.config import Experiment, load_experiment
from fercache.experiments.inventory import table_of, take_inventory
from fercache.experiments.shipped import FOLDER, own_experiments
from fercache.experiments.steps import Extract, expand
from fercache.housekeeping.garbage import Kept
from fercache.settings import Settings
from fercache.store.tables import find_tables


def kept_by_experiments(settings: Settings, folder: Path | None = None) -> Kept:
    """What the experiments in `folder` (default: the working folder) and the shipped ones refer to.

    Raises UsageError for a wrong experiment: what it refers to is not known.
    """
    found = list(_experiments(folder or Path()))
    tables = find_tables(settings.cache)
    paths: set[Path] = set()
    for experiment in found:
        for step in expand(experiment):
            if isinstance(step, Extract) and (table := table_of(step.request, tables)):
                paths.add(table.path)

    @cache
    def runs() -> frozenset[Path]:
        steps = [expand(experiment) for experiment in found]
        return frozenset(folder for each in steps for there in take_inventory(settings, each) for folder in there.runs)

    return Kept(paths, runs)


def _experiments(folder: Path) -> Iterator[Experiment]:
    for file in [*(folder / name for name in own_experiments(folder)), *sorted(FOLDER.glob("*.toml"))]:
        with redirect_stderr(StringIO()):
            yield load_experiment(file)
