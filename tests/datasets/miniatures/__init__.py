"""A miniature of every layout of every registered dataset, with its contents. A new dataset adds a file and a line.

The truth is written by hand after the sets' own descriptions, never asked of a loader.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from fercache.contracts import Miniature
from tests.datasets.miniatures import (
    affectnet,
    ckplus,
    fer2013,
    ferplus,
    mmafedb,
    own_images,
    rafdb,
    sfew,
    synthetic,
    webdataset,
)

MINIATURES: Mapping[str, Mapping[str, Callable[[Path], Miniature]]] = {
    "affectnet": affectnet.VARIANTS,
    "ckplus": ckplus.VARIANTS,
    "fer2013": fer2013.VARIANTS,
    "ferplus": ferplus.VARIANTS,
    "folder": {"splits": own_images.folder},
    "manifest": {"list": own_images.manifest},
    "mmafedb": mmafedb.VARIANTS,
    "rafdb": rafdb.VARIANTS,
    "sfew": sfew.VARIANTS,
    "synthetic": {"webcam": synthetic.synthetic},
    "webdataset": webdataset.VARIANTS,
}
"""Set -> variant -> what writes it into a folder."""
