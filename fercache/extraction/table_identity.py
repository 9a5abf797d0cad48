"""What goes into the key of a feature table: everything that changes its numbers."""

from collections.abc import Mapping
from typing import Any

from fercache.datasets import DatasetName
from fercache.encoders import Encoder
from fercache.extraction.listing import Listing
from fercache.extraction.prepare import CLEAN_VIEW, RequestedViews
from fercache.store.tables import FACES, RECIPE, UNLABELLED


def table_identity(
    name: DatasetName,
    listing: Listing,
    encoder: Encoder,
    *,
    views: RequestedViews = CLEAN_VIEW,
    unlabelled: bool = False,
    faces: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The identity of the table of the listed faces; the table's key is its hash.

    `faces` is how they were found in photographs, if they were. A corrupted dataset has one table for each split.
    """
    corruption = listing.faces[0].corruption
    return {
        "dataset": str(name.whole),
        "manifest": listing.manifest_hash,
        "encoder": encoder.key_identity(),
        "views": list(views.names),
        **({RECIPE: views.recipe.identity()} if views.count else {}),
        **({UNLABELLED: True} if unlabelled else {}),
        **({FACES: dict(faces)} if faces else {}),
        **({"split": name.split, "corruption": corruption.identity()} if corruption is not None else {}),
    }
