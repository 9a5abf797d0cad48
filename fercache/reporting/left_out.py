"""Leave-one-domain-out: runs of several pooled sources, each scored on the set that it was not given, as one table."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from fercache.datasets import POOL
from fercache.identity import key_of
from fercache.records import Record

ALL_OTHERS = "all but the target"
"""What such a table says its methods were trained on."""

_Sets = frozenset[str]


def as_one_source(records: Sequence[Record]) -> list[Record]:
    """The records, those of a leave-one-out with the source `ALL_OTHERS` and a method key that all its targets share.

    Such are scores of one encoder on two sets or more, each by what was trained on exactly the others of them. All
    else stays as it is.
    """
    targets: dict[tuple[str, _Sets], set[str]] = defaultdict(set)
    for record in records:
        if sets := _sets(record):
            targets[record.encoder_key, sets].add(record.target)
    complete = {sets for (_, sets), found in targets.items() if len(found) > 1}
    return [_renamed(record, complete) if _sets(record) in complete else record for record in records]


def _sets(record: Record) -> _Sets:
    """The sets of the experiment that a record may be of; none where it was trained on one set, or on its target."""
    sources = record.source.split(POOL)
    return frozenset() if len(sources) == 1 or record.target in sources else frozenset((*sources, record.target))


def _renamed(record: Record, complete: Iterable[_Sets]) -> Record:
    sets = sorted(_sets(record))
    several = len(set(complete)) > 1
    trained = {name: value for name, value in record.options.get("train", {}).items() if name != "source"}
    method = {"head": record.head, "trunk": record.trunk, "settings": record.settings, "train": trained, "sets": sets}
    source = f"{ALL_OTHERS}, of {', '.join(sets)}" if several else ALL_OTHERS
    return record.model_copy(update={"source": source, "method_key": key_of(method)})
