"""Leave-one-domain-out: runs on pooled sources, each scored on the dataset that it lacks, as one table."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from fercache.identity import key_of
from fercache.records import Record
from fercache.splits import POOL

ALL_OTHERS = "all but the target"
"""The source of the methods in such a table."""

_Datasets = frozenset[str]


def as_one_source(records: Sequence[Record]) -> list[Record]:
    """The records; those of a leave-one-out get the source `ALL_OTHERS` and one method key for all targets.

    In a leave-one-out, each of several datasets is scored by runs trained on exactly the others. If these runs were
    scored on further targets, all their scores also keep a table under their original source.
    """
    targets: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if _datasets(record):
            targets[_method_key(record)].add(record.target)
    left_out = [bool(_datasets(r)) and targets[_method_key(r)] == set(_datasets(r)) for r in records]
    elsewhere = {(r.encoder_key, r.source) for r, is_left_out in zip(records, left_out, strict=True) if not is_left_out}
    several = len({_datasets(r) for r, is_left_out in zip(records, left_out, strict=True) if is_left_out}) > 1
    found: list[Record] = []
    for record, is_left_out in zip(records, left_out, strict=True):
        found += [_renamed(record, several)] if is_left_out else []
        found += [record] if not is_left_out or (record.encoder_key, record.source) in elsewhere else []
    return found


def _datasets(record: Record) -> _Datasets:
    """The datasets of a record's leave-one-out; none if it was trained on a single dataset, or on its target."""
    sources = record.source.split(POOL)
    return frozenset() if len(sources) == 1 or record.target in sources else frozenset((*sources, record.target))


def _method_key(record: Record) -> str:
    """The key of everything except the seed and the dataset that is left out."""
    return key_of({**without_source(record), "sets": sorted(_datasets(record))})


def without_source(record: Record) -> dict[str, Any]:
    """What makes a record's method, except its source."""
    trained = {name: value for name, value in record.options.get("train", {}).items() if name != "source"}
    method = {"head": record.head, "trunk": record.trunk, "settings": record.settings, "train": trained}
    adapted = {"adaptation": record.adaptation.name} if record.adaptation else {}
    return {**method, **adapted, "encoder": record.encoder_key}


def _renamed(record: Record, several: bool) -> Record:
    source = f"{ALL_OTHERS}, of {', '.join(sorted(_datasets(record)))}" if several else ALL_OTHERS
    return record.model_copy(update={"source": source, "method_key": _method_key(record)})
