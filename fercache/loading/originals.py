"""The original images behind tables: a dataset's root, and faces by id."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from fercache import registry
from fercache.datasets import DatasetName, FaceImage
from fercache.images.corruptions import corruptions
from fercache.settings import Settings
from fercache.store.tables import UNLABELLED, FeatureTable, TableInfo


def known_root(settings: Settings, name: DatasetName, tables: Iterable[TableInfo | FeatureTable]) -> Path | None:
    """A dataset's root from `fercache.toml`, else from the first of the `tables` that was extracted from it."""
    roots = (table.provenance["root"] for table in tables if table.identity["dataset"] == str(name.whole))
    return settings.root_of(str(name.clean)) or next((Path(root) for root in roots if root), None)


def read_without_labels(name: DatasetName, tables: Iterable[TableInfo | FeatureTable]) -> bool:
    """Whether the first table of a dataset, which is the last requested of the cache's, was made without labels."""
    identities = (table.identity for table in tables if table.identity["dataset"] == str(name.whole))
    return UNLABELLED in next(identities, {})


def faces_with(
    ids: Iterable[str], name: DatasetName, root: Path | None, *, unlabelled: bool = False
) -> Iterator[FaceImage]:
    """The faces of a dataset with these ids, corrupted if the name says so; stops listing after the last of them.

    An `unlabelled` dataset is read without labels. Yields nothing without a known root. Raises UsageError or OSError if
    the dataset is not at `root`.
    """
    dataset, wanted = registry.load("datasets", name.family), set(ids)
    corruption = corruptions(name.corruption)[0] if name.corruption else None
    if not wanted or (dataset.needs_root and root is None):
        return
    for face in (dataset.images if unlabelled else dataset.faces)(root, name.domain):
        if face.id in wanted:
            yield replace(face, corruption=corruption)
            wanted.remove(face.id)
            if not wanted:
                return
