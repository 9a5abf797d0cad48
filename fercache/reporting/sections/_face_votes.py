"""The raters' votes for faces, from the table that a target was scored on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fercache import registry
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.records import Record
from fercache.store.tables import FeatureTable, find_tables, read_table


@dataclass(frozen=True)
class Votes:
    """`names` (V) are what can be voted for, and `counts` (N, V) the votes for each face."""

    names: tuple[str, ...]
    counts: NDArray[np.int16]


@dataclass
class VotesReader:
    """Reads each table in `cache` once."""

    cache: Path
    _read: dict[str, FeatureTable | None] = field(default_factory=dict)

    def votes(self, record: Record, ids: Sequence[str]) -> Votes | None:
        """The votes in the label file of the record's target; None without votes, or if the table is gone."""
        if not _has_votes(record):
            return None
        key = record.keys["target"]
        if key not in self._read:
            self._read[key] = self._table(key)
        table = self._read[key]
        if table is None or table.columns.votes is None:
            return None
        row_of = {id: row for row, id in enumerate(table.columns.id)}
        if not row_of.keys() >= set(ids):
            return None
        file = record.label_file or table.vote_columns[0].partition(":")[0]
        columns = [i for i, column in enumerate(table.vote_columns) if column.partition(":")[0] == file]
        names = tuple(table.vote_columns[i].partition(":")[2] for i in columns)
        return Votes(names, table.columns.votes[np.ix_([row_of[id] for id in ids], columns)])

    def _table(self, key: str) -> FeatureTable | None:
        try:
            return next((read_table(info.path) for info in find_tables(self.cache) if info.clean_key == key), None)
        except UsageError:  # damaged: the votes are not worth losing the report
            return None


def _has_votes(record: Record) -> bool:
    try:
        return bool(registry.load("datasets", DatasetName.parse(record.target).family).vote_columns)
    except UsageError:  # a plugin that is not installed here
        return False
