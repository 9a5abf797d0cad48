"""The contract of every kind of plugin, as functions for its author's tests: each returns the broken promises.

    from fercache.contracts import check_head

    def test_my_head():
        assert check_head(MyHead) == []

They need neither pytest nor a cache, and take seconds on a CPU.
"""

from fercache.contracts.adaptations import check_adaptation
from fercache.contracts.datasets import Miniature, check_dataset
from fercache.contracts.detectors import check_detector
from fercache.contracts.encoders import check_encoder
from fercache.contracts.heads import check_head
from fercache.contracts.trunks import check_trunk

__all__ = [
    "Miniature",
    "check_adaptation",
    "check_dataset",
    "check_detector",
    "check_encoder",
    "check_head",
    "check_trunk",
]
