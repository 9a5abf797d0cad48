"""What tables were made of: where a set lies, and some of its faces."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from fercache import registry
from fercache.datasets import DatasetName, FaceImage
from fercache.images.corruptions import corruptions
from fercache.settings import Settings
from fercache.store.tables import FeatureTable, TableInfo


def known_root(settings: Settings, name: DatasetName, tables: Iterable[TableInfo | FeatureTable]) -> Path | None:
    """Where a set lies (`fercache.toml`), else lay when the first of the `tables` that is of it was extracted."""
    roots = (table.provenance["root"] for table in tables if table.identity["dataset"] == str(name.whole))
    return settings.root_of(str(name.clean)) or next((Path(root) for root in roots if root), None)


def faces_with(ids: Iterable[str], name: DatasetName, root: Path | None) -> Iterator[FaceImage]:
    """Those of a set that have these ids, spoilt as the set is; it is listed no further than to the last of them.

    Raises UsageError or OSError where the set does not lie at `root`; none are found where nobody knows the root.
    """
    dataset, wanted = registry.load("datasets", name.family), set(ids)
    corruption = corruptions(name.corruption)[0] if name.corruption else None
    if not wanted or (dataset.needs_root and root is None):
        return
    for face in dataset.faces(root, name.domain):
        if face.id in wanted:
            yield replace(face, corruption=corruption)
            wanted.remove(face.id)
            if not wanted:
                return
