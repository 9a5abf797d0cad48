"""A real Ray cluster of several nodes on this machine, for tests of the group `ray`."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import REPOSITORY

MEMORY = 100 * 2**20
"""Bytes of each node's object store."""


def start_cluster(nodes: int) -> Any:
    """A head without cores, and nodes of one core each; this process is connected to it."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = str(REPOSITORY)
    head = {"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False}
    found = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(nodes):
        found.add_node(num_cpus=1, object_store_memory=MEMORY)
    found.wait_for_nodes()
    ray.init(address=found.address, log_to_driver=False)
    return found


def end_cluster(found: Any) -> None:
    """Ends all of its processes."""
    import ray

    ray.shutdown()
    found.shutdown()


@pytest.fixture(scope="session")
def nodes() -> Iterator[Any]:
    """Two nodes, of which a test of extraction kills one."""
    found = start_cluster(2)
    yield found
    end_cluster(found)
