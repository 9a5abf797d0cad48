"""Leave-one-domain-out: runs of several pooled sources, each scored on the set that it was not given, as one table."""

from collections import defaultdict
from collections.abc import Sequence

from fercache.datasets import POOL
from fercache.identity import key_of
from fercache.records import Record

ALL_OTHERS = "all but the target"
"""What such a table says its methods were trained on."""

_Sets = frozenset[str]


def as_one_source(records: Sequence[Record]) -> list[Record]:
    """The records, those of a leave-one-out with the source `ALL_OTHERS` and a method key that all its targets share.

    A method is one where each of several sets was left out once, and scored by what was trained on exactly the others.
    What its runs were scored on besides keeps them, with all their scores, as tables of their own as well.
    """
    targets: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if _sets(record):
            targets[_method_key(record)].add(record.target)
    left_out = [bool(_sets(r)) and targets[_method_key(r)] == set(_sets(r)) for r in records]
    elsewhere = {(r.encoder_key, r.source) for r, is_left_out in zip(records, left_out, strict=True) if not is_left_out}
    several = len({_sets(r) for r, is_left_out in zip(records, left_out, strict=True) if is_left_out}) > 1
    found: list[Record] = []
    for record, is_left_out in zip(records, left_out, strict=True):
        found += [_renamed(record, several)] if is_left_out else []
        found += [record] if not is_left_out or (record.encoder_key, record.source) in elsewhere else []
    return found


def _sets(record: Record) -> _Sets:
    """The sets of the experiment that a record may be of; none where it was trained on one set, or on its target."""
    sources = record.source.split(POOL)
    return frozenset() if len(sources) == 1 or record.target in sources else frozenset((*sources, record.target))


def _method_key(record: Record) -> str:
    """The key of everything but the seed and the set that is left out."""
    trained = {name: value for name, value in record.options.get("train", {}).items() if name != "source"}
    method = {"head": record.head, "trunk": record.trunk, "settings": record.settings, "train": trained}
    return key_of({**method, "encoder": record.encoder_key, "sets": sorted(_sets(record))})


def _renamed(record: Record, several: bool) -> Record:
    source = f"{ALL_OTHERS}, of {', '.join(sorted(_sets(record)))}" if several else ALL_OTHERS
    return record.model_copy(update={"source": source, "method_key": _method_key(record)})
