"""The commands that reproduce a report, from its records."""

import json
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fercache.datasets import DatasetName
from fercache.images.corruptions import EVERY, corruptions
from fercache.records import ALL, IMPORTED, Record
from fercache.reporting.boards import is_corrupted
from fercache.reporting.report import ReportRequest
from fercache.scoring.selection import BY_SHIFTED, POLICIES
from fercache.splits import POOL

_SCORES = ReportRequest()


def commands(records: Sequence[Record], name: str, request: ReportRequest = _SCORES) -> list[str]:
    """Extract, train, evaluate, and compare into the report `name`, in this order, for an empty cache."""
    trained = [record for record in records if record.encoder != IMPORTED]
    imported = [record for record in records if record.encoder == IMPORTED]
    steps = [*_extractions(trained, imported), *_trainings(trained), *_evaluations(trained), *_imports(imported)]
    described = {"name": name, "baseline": request.baseline or "", "about": request.about}
    mix = request.class_mix or {}
    described["class-mix"] = ",".join(f"{expression}={share:g}" for expression, share in mix.items())
    described["published"] = ",".join(request.published)
    last = _command("compare", {option: text for option, text in described.items() if text})
    last += "".join(f" --selection {policy}" for policy in _shown(trained)) + " --thumbnails" * request.thumbnails
    return [*dict.fromkeys(steps), last]


def _extractions(trained: Sequence[Record], imported: Sequence[Record]) -> Iterable[str]:
    datasets: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for record in trained:
        options = {"encoder": record.encoder} | record.options.get("extract", {})
        few = [record.few.target] if record.few else []
        datasets[tuple(options.items())] += (*record.source.split(POOL), *few, _extracted(record))
    for chosen, names in datasets.items():
        for dataset in collapsed(names):
            yield _command("extract", {"dataset": dataset} | dict(chosen))
    extracted = {name for names in datasets.values() for name in names}
    for dataset in collapsed(_extracted(record) for record in imported):
        if dataset not in extracted:  # an import reads its labels from the table of any encoder
            yield _command("extract", {"dataset": dataset})


def _extracted(record: Record) -> str:
    """The dataset to extract for a target: with its split if corrupted, because such a table holds one split."""
    return _with_split(record) if is_corrupted(record.target) else record.target


def _trainings(trained: Sequence[Record]) -> Iterable[str]:
    seeds: dict[str, set[int]] = defaultdict(set)
    for record in trained:
        seeds[record.method_key].add(record.seed)
    for key, record in {record.method_key: record for record in trained}.items():
        options = {
            "encoder": record.encoder,
            "source": record.source,
            "head": record.head,
            "seeds": ",".join(map(str, sorted(seeds[key]))),
        }
        yield _command("train", options | record.options.get("train", {}), record.settings)


def _evaluations(trained: Sequence[Record]) -> Iterable[str]:
    """One command per target; names the runs, by the keys at their ends, unless it is all of them."""
    runs_on: dict[str, set[str]] = defaultdict(set)
    for record in trained:
        runs_on[_with_split(record)].add(record.run.rpartition("-")[2])
    every = set().union(*runs_on.values())
    without = {_with_split(record) for record in trained if record.duplicates is not None}
    alike: dict[tuple[str, str], list[str]] = defaultdict(list)
    for target, runs in runs_on.items():
        named = "" if runs == every else "".join(f" --run {run}" for run in sorted(runs))
        alike[named, " --exclude-duplicates" if target in without else ""].append(target)
    for (named, flag), targets in alike.items():
        for target in collapsed(targets):
            yield _command("evaluate", {"target": target}) + named + flag


def _imports(imported: Sequence[Record]) -> Iterable[str]:
    for record in imported:
        options = dict(record.options.get("import-predictions", {}))
        yield _command(f"import-predictions {shlex.quote(options.pop('file', 'FILE'))}", options)


def _shown(trained: Sequence[Record]) -> list[str]:
    """The selection policies to request; none if all that an evaluation writes are shown."""
    present = {record.selection for record in trained}
    return [] if present >= set(POLICIES) - {BY_SHIFTED} else [policy for policy in POLICIES if policy in present]


def _with_split(record: Record) -> str:
    return record.target + ("" if record.target_split == ALL else f"@{record.target_split}")


def collapsed(names: Iterable[str]) -> list[str]:
    """The names, each once: `ferplus+blur` if all its severities are present, `ferplus+all` if all kinds are."""
    there = dict.fromkeys(names)
    return list(dict.fromkeys(_shortest(name, there) if is_corrupted(name) else name for name in there))


def _shortest(text: str, there: Mapping[str, None]) -> str:
    name = DatasetName.parse(text)
    for wider in (EVERY, name.corruption.partition(":")[0]):
        if all(str(replace(name, corruption=str(each))) in there for each in corruptions(wider)):
            return str(replace(name, corruption=wider))
    return text


FLAGS = {"policy": "votes"}
"""Options whose name in records is another than on the command line."""


def _command(stage: str, options: Mapping[str, str], settings: Mapping[str, Any] | None = None) -> str:
    flags = {f"--{FLAGS.get(name, name)}": value for name, value in options.items()}
    words = [word for flag, value in flags.items() for word in ((flag, value) if value else (flag,))]
    for name, value in (settings or {}).items():
        if value not in (None, {}):
            words += ["--set", f"{name}={_written(value)}"]
    return f"fercache {stage} {shlex.join(words)}"


def _written(value: Any) -> str:
    """A setting as `train --set` reads it."""
    if isinstance(value, dict):
        return ",".join(f"{name}={_written(each)}" for name, each in value.items())
    return value if isinstance(value, str) else json.dumps(value)
