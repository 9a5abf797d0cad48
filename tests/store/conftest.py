"""No waiting for the disk: flushing guards against power cuts, which no test makes; kill -9 loses nothing unflushed."""

import os

import pytest


@pytest.fixture(autouse=True, scope="session")
def unflushed() -> None:
    """Flush nothing, in this process and in those that the tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield
