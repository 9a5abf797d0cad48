"""Which target faces a run has seen: by declared relations between datasets, and by identical pixels in the cache."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fercache import registry
from fercache.datasets import DatasetName, has_spare_validation
from fercache.errors import UsageError
from fercache.loading.run_config import FewLabels, SourcePart
from fercache.loading.tables import holds
from fercache.loading.targets import Target, TrainedOn
from fercache.records import LABELLED, FewRecord
from fercache.records.relations import declared_by_text
from fercache.store.tables import FeatureTable, TableInfo

PixelHashes = NDArray[np.bytes_]
"""(N,) SHA-256 of pixels."""


class Provenance:
    """Looks up the images of datasets in the tables of a cache; compares each pair of datasets once.

    `read` loads a table by its path. The pixels are the same in the tables of all encoders.
    """

    def __init__(self, tables: Sequence[TableInfo], read: Callable[[Path], FeatureTable]) -> None:
        self._tables = tables
        self._read = read
        self._found: dict[tuple[SourcePart, bool, str, str], NDArray[np.bool_] | None] = {}

    def of(self, target: Target, encoder_seen: Sequence[str], source: Sequence[SourcePart]) -> Target:
        """The target, with which of its faces the encoder, and a head trained on `source`, have seen.

        Leaves out an encoder's datasets that no plugin reads.
        """
        of_encoder = [text.partition("@") for text in encoder_seen if _is_known(text)]
        found = [
            self._trained_on(SourcePart(name=name, split=split, key=""), target, of_head=False)
            for name, _, split in of_encoder
        ]
        found += [self._trained_on(part, target, of_head=True) for part in source]
        return replace(target, trained_on=tuple(found))

    def without_labelled(self, target: Target, few: FewLabels) -> Target:
        """The target without the faces whose labels a run has learned from, corrupted or not.

        Raises UsageError if none is left.
        """
        name = target.name.whole
        hashes = self._hashes_of(target.table, target.name)
        learned = np.zeros(len(target.table.columns.id), dtype=bool)
        if hashes is not None:
            learned |= np.isin(hashes, np.array([bytes.fromhex(each) for each in few.images], dtype="S32"))
        if name.clean == DatasetName.parse(few.target).clean:
            learned |= np.isin(target.table.columns.id.astype(str), list(few.faces))
        left_out = learned[target.faces.row]
        if left_out.all():
            raise UsageError(f"{target.name}: the run has learned from the labels of all faces, so none can be scored.")
        here = bool(left_out.any()) or declared_by_text(str(name), few.target) is not None
        left = target.without(left_out, LABELLED)
        return replace(left, few=FewRecord(target=few.target, labels=len(few.faces), here=here))

    def _trained_on(self, part: SourcePart, target: Target, of_head: bool) -> TrainedOn:
        key = (part, of_head, target.table.clean_key, target.name.split)
        if key not in self._found:
            self._found[key] = self._compare(part, target, of_head)
        identical = self._found[key]
        return TrainedOn(
            by="source" if of_head else "encoder",
            through=f"{part.name}@{part.split}" if part.split and not of_head else part.name,
            how=declared_by_text(str(target.name.whole), part.name),
            identical=None if identical is None else identical[target.faces.row],
        )

    def _compare(self, part: SourcePart, target: Target, of_head: bool) -> NDArray[np.bool_] | None:
        """(N,) The rows of the target's table whose image was trained on; None if that cannot be determined."""
        scored, table = self._hashes_of(target.table, target.name), self._table(part)
        if scored is None or table is None:
            return None
        trained = self._hashes_of(table, DatasetName.parse(part.name))
        if trained is None:
            return None
        rows = source_rows(table, part, target.name) if of_head else split_rows(table, part.split)
        return np.isin(scored, trained[rows])

    def _table(self, part: SourcePart) -> FeatureTable | None:
        """The table with the part's key; without a key, the dataset's newest table."""
        try:
            name = DatasetName.parse(part.name)
            fitting = (t for t in self._tables if (t.clean_key == part.key if part.key else holds(t, name)))
            info = next(fitting, None)
            return None if info is None else self._read(info.path)
        except UsageError:  # an unknown dataset, or a damaged table, which `cache verify` reports
            return None

    def _hashes_of(self, table: FeatureTable, name: DatasetName) -> PixelHashes | None:
        """The hash of every row's clean image; None if a corrupted dataset's clean table is not in the cache."""
        if not name.corruption:
            return table.columns.digests(slice(None))
        clean = self._table(SourcePart(name=str(name.clean), split="", key=""))
        if clean is None:
            return None
        of_id = dict(zip(clean.columns.id, clean.columns.digests(slice(None)), strict=True))
        return np.array([of_id.get(id, id.encode()) for id in table.columns.id], dtype="S32")


def split_rows(table: FeatureTable, split: str) -> NDArray[np.bool_]:
    """(N,) The rows of a split; all rows for ""."""
    rows: NDArray[np.bool_] = np.equal(table.columns.split, split) if split else np.ones(len(table.columns.id), bool)
    return rows


def source_rows(table: FeatureTable, part: SourcePart, target: DatasetName) -> NDArray[np.bool_]:
    """(N,) The rows of a source's `table` that a run has seen: training rows, and source validation, by which it
    selects snapshots.

    Without the scored split, if the dataset's own validation split is the `target`.
    """
    rows, name = split_rows(table, part.split), DatasetName.parse(part.name)
    if part.split == "train" and has_spare_validation(set(table.columns.split), name):
        rows = rows | split_rows(table, "validation")
    if name.clean == target.clean:
        rows = rows & (table.columns.split != target.split)
    return rows


def _is_known(name: str) -> bool:
    """Whether a plugin reads an encoder's training dataset."""
    return name.partition("@")[0].partition(":")[0] in registry.names("datasets")
