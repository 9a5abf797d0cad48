"""The pictures that tables were made of: where a set of them lies, and those of some faces."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fercache import registry
from fercache.corruptions import corruptions
from fercache.datasets import DatasetName, FaceImage
from fercache.extraction.decode import decode
from fercache.settings import Settings
from fercache.store.tables import FeatureTable, TableInfo


def known_root(settings: Settings, name: DatasetName, tables: Iterable[TableInfo | FeatureTable]) -> Path | None:
    """Where a set lies (`fercache.toml`), else lay when the first of the `tables` that is of it was extracted."""
    roots = (table.provenance["root"] for table in tables if table.identity["dataset"] == str(name.whole))
    return settings.root_of(str(name.clean)) or next((Path(root) for root in roots if root), None)


def faces_with(ids: Iterable[str], name: DatasetName, root: Path | None) -> Iterator[FaceImage]:
    """Those of a set that have these ids; it is listed no further than to the last of them.

    Raises UsageError or OSError where the set does not lie at `root`; none are found where nobody knows the root.
    """
    dataset, wanted = registry.load("datasets", name.family), set(ids)
    if not wanted or (dataset.needs_root and root is None):
        return
    for face in dataset.faces(root, name.domain):
        if face.id in wanted:
            yield face
            wanted.remove(face.id)
            if not wanted:
                return


def pixels_of(face: FaceImage, name: DatasetName) -> NDArray[np.uint8]:
    """(H, W, 3), cut and spoilt as for the encoder. Raises Unreadable or OSError for a picture that cannot be read."""
    pixels = decode(face.read(), face.box)
    for corruption in corruptions(name.corruption) if name.corruption else ():
        pixels = corruption(pixels)
    return pixels
