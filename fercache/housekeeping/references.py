"""Which runs and records refer to which tables and prompts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fercache.loading.run_summaries import RunSummary, read_json, record_files_of
from fercache.loading.tables import same_encoder

Names = Mapping[str, Sequence[str]]
"""By key: the names of runs that refer to it."""


@dataclass(frozen=True)
class References:
    """The runs that were trained on a table, or scored on it, by its clean key; those that read prompts, by their key.

    `encoders` are the identities of the encoders of the runs. `unreadable` are the files of runs and records that may
    refer to anything, because they are damaged.
    """

    trained: Names
    scored: Names
    prompts: Names
    encoders: Sequence[Mapping[str, Any]]
    unreadable: Sequence[Path]

    def of_table(self, clean_key: str) -> list[str]:
        """The runs that refer to a table by a clean key, each once."""
        return list(dict.fromkeys([*self.trained.get(clean_key, ()), *self.scored.get(clean_key, ())]))

    def has_encoder(self, identity: Mapping[str, Any]) -> bool:
        """Whether a run needs features of this encoder."""
        return any(same_encoder(each, identity) for each in self.encoders)


def references(runs: Sequence[RunSummary]) -> References:
    """What `runs` and their records refer to."""
    trained: dict[str, list[str]] = defaultdict(list)
    scored: dict[str, list[str]] = defaultdict(list)
    prompts: dict[str, list[str]] = defaultdict(list)
    encoders: dict[str, Mapping[str, Any]] = {}
    unreadable: list[Path] = []
    for run in runs:
        records = {path: record_keys(path) for path in record_files_of(run.folder)}
        unreadable += [path for path, keys in records.items() if "target" not in keys]
        unreadable += [] if run.content or not any(run.folder.iterdir()) else [run.folder]
        for key in run.table_keys:
            trained[key].append(run.name)
        if isinstance(identity := run["encoder_identity"], Mapping):
            encoders.setdefault(str(sorted(identity.items())), identity)
        read = [str(run["prompts_key"])] if run["prompts_key"] else []
        targets = [keys["target"] for keys in records.values() if "target" in keys]
        read += [keys["prompts"] for keys in records.values() if "prompts" in keys]
        for key in dict.fromkeys(targets):
            scored[key].append(run.name)
        for key in dict.fromkeys(read):
            prompts[key].append(run.name)
    return References(trained, scored, prompts, encoders=list(encoders.values()), unreadable=unreadable)


def record_keys(path: Path) -> dict[str, str]:
    """The keys of everything that a record was made from; none if it cannot be read."""
    keys = read_json(path).get("keys")
    return {str(name): str(key) for name, key in keys.items()} if isinstance(keys, dict) else {}
