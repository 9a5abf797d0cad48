"""What to type to get a report again, from its records."""

import json
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fercache.corruptions import EVERY, corruptions
from fercache.datasets import POOL, DatasetName
from fercache.records import ALL, IMPORTED, Record
from fercache.reporting.boards import is_corrupted


def commands(records: Sequence[Record], name: str, baseline: str | None = None, thumbnails: bool = False) -> list[str]:
    """In order: extract, train, evaluate, and compare into the report `name`, where the cache holds nothing else."""
    flag = " --thumbnails" if thumbnails else ""
    last = _command("compare", {"name": name} | ({"baseline": baseline} if baseline else {})) + flag
    return [*dict.fromkeys(_scoring(records)), last]


def _scoring(every: Sequence[Record]) -> Iterable[str]:
    records = [record for record in every if record.encoder != IMPORTED]
    sets: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for record in records:
        options = {"encoder": record.encoder} | record.options.get("extract", {})
        # A corrupted set's table holds one split, so it is extracted by the name that it is evaluated by.
        target = _with_split(record) if is_corrupted(record.target) else record.target
        sets[tuple(options.items())] += (*record.source.split(POOL), target)
    for chosen, names in sets.items():
        for dataset in collapsed(names):
            yield _command("extract", {"dataset": dataset} | dict(chosen))
    seeds: dict[str, set[int]] = defaultdict(set)
    for record in records:
        seeds[record.method_key].add(record.seed)
    for key, record in {record.method_key: record for record in records}.items():
        options = {
            "encoder": record.encoder,
            "source": record.source,
            "head": record.head,
            "seeds": ",".join(map(str, sorted(seeds[key]))),
        }
        yield _command("train", options | record.options.get("train", {}), record.settings)
    without = collapsed(_with_split(record) for record in records if record.duplicates is not None)
    for target in collapsed(_with_split(record) for record in records):
        yield _command("evaluate", {"target": target}) + (" --exclude-duplicates" if target in without else "")
    for record in every:
        if record.encoder == IMPORTED:
            options = dict(record.options.get("import-predictions", {}))
            yield _command(f"import-predictions {shlex.quote(options.pop('file', 'FILE'))}", options)


def _with_split(record: Record) -> str:
    return record.target + ("" if record.target_split == ALL else f"@{record.target_split}")


def collapsed(names: Iterable[str]) -> list[str]:
    """The names, each once: `ferplus+blur` for all its severities where they are there, `ferplus+all` for all kinds."""
    there = dict.fromkeys(names)
    return list(dict.fromkeys(_shortest(name, there) if is_corrupted(name) else name for name in there))


def _shortest(text: str, there: Mapping[str, None]) -> str:
    name = DatasetName.parse(text)
    for wider in (EVERY, name.corruption.partition(":")[0]):
        if all(str(replace(name, corruption=str(each))) in there for each in corruptions(wider)):
            return str(replace(name, corruption=wider))
    return text


def _command(stage: str, options: Mapping[str, str], settings: Mapping[str, Any] | None = None) -> str:
    words = [*(word for name, value in options.items() for word in (f"--{name}", value))]
    for name, value in (settings or {}).items():
        if value not in (None, {}):
            words += ["--set", f"{name}={_written(value)}"]
    return f"fercache {stage} {shlex.join(words)}"


def _written(value: Any) -> str:
    """A setting as `train --set` reads it."""
    if isinstance(value, dict):
        return ",".join(f"{name}={_written(each)}" for name, each in value.items())
    return value if isinstance(value, str) else json.dumps(value)
