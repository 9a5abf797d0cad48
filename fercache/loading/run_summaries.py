"""What runs are, read from their `config.json` alone: hundreds in a second. Nothing is checked against hashes."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from fercache.options.train import LearningOptions
from fercache.store.atomic import entries
from fercache.store.run_files import CONFIG

RECORDS = "records"
"""A run's folder of records; imported predictions have no other description."""
_USUAL_PROMPTS = "faces"


@dataclass(frozen=True)
class RunSummary:
    """A run's folder and the content of its `config.json`; of imported predictions, the same entries of a record.

    `content` is empty if neither can be read. `is_imported`: another program made its predictions.
    """

    folder: Path
    content: Mapping[str, Any]
    is_imported: bool = False

    def __getitem__(self, name: str) -> Any:
        return self.content.get(name)

    @property
    def name(self) -> str:
        """The folder's name, encoder-source-head-trunk-seed-key8."""
        return self.folder.name

    @property
    def key(self) -> str:
        """The digits at the end of the name."""
        return self.name.rpartition("-")[2]

    @cached_property
    def parts(self) -> dict[str, str]:
        """The parts of its name: encoder, source, head, trunk and seed; none if it cannot be described."""
        if not self.content:
            return {}
        trunk = "" if self.is_imported else str(self["trunk"])
        head = _slug(self["head"]) if self.is_imported else str(self["head"])
        after = "-".join(["", head, *([trunk] if trunk else []), str(self["seed"]), self.key])
        encoder = str(self["encoder"])
        source = self.name.removeprefix(f"{encoder}-").removesuffix(after)
        found = {"encoder": encoder, "source": source, "head": head, "trunk": trunk, "seed": str(self["seed"])}
        return {what: text for what, text in found.items() if text}

    @property
    def method(self) -> str:
        """Its name without seed and key: encoder-source-head-trunk."""
        return self.name.rsplit("-", 2)[0]

    @property
    def table_keys(self) -> list[str]:
        """The clean keys of the tables that it learned from."""
        pool = [part["key"] for part in self["pool"] or []]
        few = self["few_labels"]
        keys = [*(pool or [self["source_key"]]), few["key"] if few else None]
        return [key for key in keys if key]

    @property
    def options(self) -> dict[str, str]:
        """The options of training that are not at their defaults."""
        stored = {name: name for name in LearningOptions.model_fields} | {"policy": "votes", "label_file": "labels"}
        found: dict[str, str] = {}
        for name, option in stored.items():
            value, usual = self[name], LearningOptions.model_fields[option].default
            if value is not None and str(value) != str(usual):
                found[option] = PurePath(value).name if isinstance(value, str) else str(value)
        prompts = self["prompts"]
        return found | ({"prompts": prompts} if prompts not in (None, _USUAL_PROMPTS) else {})


def summary_of(folder: Path) -> RunSummary:
    """Reads the description of a run."""
    content, is_imported = read_json(folder / CONFIG), False
    if not (folder / CONFIG).exists():
        content = next((found for path in record_files_of(folder) if (found := read_json(path))), {})
        is_imported = bool(content)
    named = all(name in content for name in ("encoder", "source", "head", "trunk", "seed", "method_key"))
    return RunSummary(folder, content if named else {}, is_imported=is_imported)


def record_files_of(folder: Path) -> list[Path]:
    """The files of a run's records, sorted."""
    records = folder / RECORDS
    return [path for path in entries(records) if path.suffix == ".json"] if records.is_dir() else []


def summaries(cache: Path) -> list[RunSummary]:
    """Every folder of a run in the cache, sorted by name: finished, unfinished, damaged and imported ones."""
    return [summary_of(folder) for folder in run_folders(cache)]


def run_folders(cache: Path) -> list[Path]:
    """The folders of runs, sorted; temporary ones are left out."""
    return [folder for folder in entries(cache / "runs") if folder.is_dir() and folder.suffix != ".tmp"]


def changed(runs: Sequence[RunSummary]) -> dict[Path, dict[str, str]]:
    """What makes each run differ from others: settings that differ among runs of its head and trunk, and options.

    A head's defaults are not looked up, so a setting in which all runs agree is not named.
    """
    alike: dict[tuple[Any, Any], list[RunSummary]] = defaultdict(list)
    for run in runs:
        alike[run["head"], run["trunk"]].append(run)
    found: dict[Path, dict[str, str]] = {}
    for peers in alike.values():
        settings = [run["settings"] or {} for run in peers]
        names = dict.fromkeys(name for each in settings for name in each)
        differing = [name for name in names if len({str(each.get(name)) for each in settings}) > 1]
        for run, each in zip(peers, settings, strict=True):
            found[run.folder] = {name: str(each[name]) for name in differing if name in each} | run.options
    return found


def written(differences: Mapping[str, str]) -> str:
    """Differences as `epochs=3, policy=soft`."""
    return ", ".join(f"{name}={value}" for name, value in differences.items())


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is none, or it cannot be read."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(path.read_bytes())
        return found if isinstance(found, dict) else {}
    return {}


def _slug(model: Any) -> str:
    """A model's name as in the folder of its imported predictions."""
    return re.sub("[^a-z0-9]+", "-", str(model).lower()).strip("-") or "model"
