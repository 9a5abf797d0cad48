"""The distance of a run's targets from its source, in features."""

from collections.abc import Callable, Sequence
from pathlib import Path

from fercache.errors import UsageError
from fercache.identity import seed_from
from fercache.loading.provenance import split_rows
from fercache.loading.run_config import SourcePart
from fercache.loading.targets import Target
from fercache.scoring.drift import Drift, drift
from fercache.store.rows import JoinedRows, Rows, take
from fercache.store.schema import CLEAN
from fercache.store.tables import FeatureTable, TableInfo


class Drifts:
    """The drift of targets from sources, measured once per pair; `read` loads a table by its path."""

    def __init__(self, tables: Sequence[TableInfo], read: Callable[[Path], FeatureTable]) -> None:
        self._paths = {table.clean_key: table.path for table in tables}
        self._read = read
        self._found: dict[tuple[str, ...], Drift | None] = {}

    def of(self, target: Target, source: Sequence[SourcePart]) -> Drift | None:
        """The drift from all faces of the source split to all faces of the scored split, labelled or not.

        None if the source is no longer in the cache or there are too few faces.
        """
        return self.of_split(target.table, target.name.split, source)

    def of_split(self, table: FeatureTable, split: str, source: Sequence[SourcePart]) -> Drift | None:
        """The same for the `split` ("" = all) of a target's table."""
        trained = [text for part in source for text in (part.key, part.split)]
        key = (*trained, table.clean_key, split)
        if key not in self._found:
            # Seeded by the source: its halves, and so the noise floor, are the same for all targets of equal size.
            theirs = take(table.columns.features[CLEAN], split_rows(table, split))
            self._found[key] = self._measure(theirs, source, seed_from("drift", *trained))
        return self._found[key]

    def _measure(self, theirs: Rows, source: Sequence[SourcePart], seed: int) -> Drift | None:
        if any(part.key not in self._paths for part in source):
            return None
        try:
            tables = [self._read(self._paths[part.key]) for part in source]
        except UsageError:  # damaged; `cache verify` reports it
            return None
        parts = zip(tables, source, strict=True)
        ours = [take(table.columns.features[CLEAN], split_rows(table, part.split)) for table, part in parts]
        return drift(JoinedRows(ours), theirs, seed=seed)
