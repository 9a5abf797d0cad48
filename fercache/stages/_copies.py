"""The target faces that have a copy in the source."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fercache.audits.duplicates import find_pairs
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.loading.labelled_faces import searched_faces
from fercache.loading.provenance import source_rows, split_rows
from fercache.loading.run_config import RunConfig, SourcePart
from fercache.loading.tables import command_to_extract, holds, same_encoder
from fercache.loading.targets import Target
from fercache.options.extract import EncoderRequest
from fercache.store.tables import FeatureTable, TableInfo


class CopySearch:
    """Which target faces have a copy among the source's training rows; searches each pair of tables once."""

    def __init__(self, tables: Sequence[TableInfo], read: Callable[[Path], FeatureTable], device: str) -> None:
        self._tables = {table.clean_key: table for table in tables}
        self._read = read
        self._device = device
        self._found: dict[tuple[str, str, str, str], frozenset[str]] = {}

    def of(self, config: RunConfig, target: Target) -> NDArray[np.bool_]:
        """(N,) for the target's faces. Raises UsageError when the source's table is gone."""
        scored = self._clean(target)
        found: set[str] = set()
        for part in config.parts:
            key = (part.key, part.split, scored.clean_key, target.name.split)
            if key not in self._found:
                self._found[key] = self._search(config.name, part, scored, target.name.split)
            found |= self._found[key]
        return np.array([id in found for id in target.faces.id], dtype=bool)

    def _search(self, run: str, part: SourcePart, scored: TableInfo, split: str) -> frozenset[str]:
        if part.key not in self._tables:
            again = command_to_extract(part.name, EncoderRequest.of(scored.provenance["encoder_request"]))
            raise UsageError(
                f"{run} was trained on a table of {part.name} that is no longer in the cache, so duplicates of its "
                f"faces cannot be found. Run: {again}"
            )
        source, target = self._read(self._tables[part.key].path), self._read(scored.path)
        rows = split_rows(target, split)
        name = replace(DatasetName.parse(scored.identity["dataset"]), split=split)
        ours, theirs = searched_faces(source, source_rows(source, part, name)), searched_faces(target, rows)
        return frozenset(target.columns.id[rows][find_pairs(ours, theirs, device=self._device).right])

    def _clean(self, target: Target) -> TableInfo:
        """The target's table, or its clean dataset's: copies are hard to recognise in corrupted images."""
        own, encoder = self._tables[target.table.clean_key], target.table.identity["encoder"]
        if not target.name.corruption:
            return own
        tables = self._tables.values()
        fitting = (t for t in tables if holds(t, target.name.clean) and same_encoder(t.identity["encoder"], encoder))
        clean = next(fitting, None)
        if clean is None:
            asked = EncoderRequest.of(own.provenance["encoder_request"])
            again = command_to_extract(str(target.name.clean), asked, own.provenance)
            raise UsageError(
                f"Duplicates in {target.name} are found in its clean images, and {target.name.clean} is not in the "
                f"cache. Run: {again}"
            )
        return clean
