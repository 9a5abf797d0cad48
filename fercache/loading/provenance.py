"""What a run has seen of a target: by declared relations between sets, and by identical pixels in the cache."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fercache import registry
from fercache.datasets import DatasetName, has_spare_validation
from fercache.errors import UsageError
from fercache.loading.run_config import SourcePart
from fercache.loading.tables import holds
from fercache.loading.targets import Target, TrainedOn
from fercache.records.relations import declared_by_text
from fercache.store.tables import FeatureTable, TableInfo

Pictures = NDArray[np.bytes_]
"""(N,) SHA-256 of pixels."""


class Provenance:
    """Looks the images of sets up in the tables of a cache; each pair of sets is compared once.

    `read` gives a table by its path. Pixels are the same whatever encoder a table is by.
    """

    def __init__(self, tables: Sequence[TableInfo], read: Callable[[Path], FeatureTable]) -> None:
        self._tables = tables
        self._read = read
        self._found: dict[tuple[SourcePart, bool, str, str], NDArray[np.bool_] | None] = {}

    def of(self, target: Target, encoder_seen: Sequence[str], source: Sequence[SourcePart]) -> Target:
        """The target with what was seen of its faces by an encoder and by a head that was trained on `source`.

        Sets of an encoder that no plugin reads are left out: nothing can be said of them.
        """
        of_encoder = [text.partition("@") for text in encoder_seen if _is_known(text)]
        found = [
            self._trained_on(SourcePart(name=name, split=split, key=""), target, of_head=False)
            for name, _, split in of_encoder
        ]
        found += [self._trained_on(part, target, of_head=True) for part in source]
        return replace(target, trained_on=tuple(found))

    def _trained_on(self, part: SourcePart, target: Target, of_head: bool) -> TrainedOn:
        key = (part, of_head, target.table.clean_key, target.name.split)
        if key not in self._found:
            self._found[key] = self._compare(part, target, of_head)
        there = self._found[key]
        return TrainedOn(
            by="source" if of_head else "encoder",
            through=f"{part.name}@{part.split}" if part.split and not of_head else part.name,
            how=declared_by_text(str(target.name.whole), part.name),
            identical=None if there is None else there[target.faces.row],
        )

    def _compare(self, part: SourcePart, target: Target, of_head: bool) -> NDArray[np.bool_] | None:
        """(N,) Which rows of the target's table have a picture that was trained on; None where nothing can tell."""
        scored, table = self._pictures(target.table, target.name), self._table(part)
        if scored is None or table is None:
            return None
        there = self._pictures(table, DatasetName.parse(part.name))
        if there is None:
            return None
        rows = source_rows(table, part, target.name) if of_head else split_rows(table, part.split)
        return np.isin(scored, there[rows])

    def _table(self, part: SourcePart) -> FeatureTable | None:
        """The one with the part's key; without a key the newest that has the set."""
        try:
            name = DatasetName.parse(part.name)
            fitting = (t for t in self._tables if (t.clean_key == part.key if part.key else holds(t, name)))
            info = next(fitting, None)
            return None if info is None else self._read(info.path)
        except UsageError:  # no name of ours, or a damaged table, of which `cache verify` tells
            return None

    def _pictures(self, table: FeatureTable, name: DatasetName) -> Pictures | None:
        """Of every row; of a corrupted set the pictures it was made from, None where these are not in the cache."""
        if not name.corruption:
            return _digests(table)
        clean = self._table(SourcePart(name=str(name.clean), split="", key=""))
        if clean is None:
            return None
        of_id = dict(zip(clean.columns.id, _digests(clean), strict=True))
        return np.array([of_id.get(id, id.encode()) for id in table.columns.id], dtype="S32")


def split_rows(table: FeatureTable, split: str) -> NDArray[np.bool_]:
    """(N,) The rows of a split; all where none is named."""
    rows: NDArray[np.bool_] = np.equal(table.columns.split, split) if split else np.ones(len(table.columns.id), bool)
    return rows


def source_rows(table: FeatureTable, part: SourcePart, target: DatasetName) -> NDArray[np.bool_]:
    """(N,) The rows of a source's `table` that a run has seen: train, and source validation, which chooses its weights.

    Not those of the split that is scored, where a set's own validation split is the `target`.
    """
    rows, name = split_rows(table, part.split), DatasetName.parse(part.name)
    if part.split == "train" and has_spare_validation(set(table.columns.split), name):
        rows = rows | split_rows(table, "validation")
    if name.clean == target.clean:
        rows = rows & (table.columns.split != target.split)
    return rows


def _digests(table: FeatureTable) -> Pictures:
    digests: Pictures = np.ascontiguousarray(table.columns.pixel_sha256).view("S32").ravel()
    return digests


def _is_known(name: str) -> bool:
    """Whether a set of an encoder is one of ours."""
    return name.partition("@")[0].partition(":")[0] in registry.names("datasets")
