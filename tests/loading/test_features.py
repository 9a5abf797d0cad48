"""Features that do not fit in memory give the same training rows, scores and runs, where order does not matter."""

import numpy as np
import pytest
import torch

from fercache.errors import UsageError
from fercache.heads import Batch
from fercache.loading.features import FeaturesOnDisk, features_of
from fercache.runtime.memory import limit_features
from fercache.training import shuffle_on_disk

ROWS = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float16)


def test_rows_on_disk_stand_for_the_tensor(features_on_disk: None) -> None:
    found = features_of([ROWS[:30], ROWS[30:]], "cpu")
    expected = torch.from_numpy(ROWS.astype(np.float32))
    assert (found.shape, found.dtype, found.device, len(found)) == (expected.shape, torch.float32, expected.device, 50)
    order = torch.randperm(50)
    assert torch.equal(found[order], expected[order])
    assert isinstance(found, FeaturesOnDisk)
    assert torch.equal(found.take(order[:7])[torch.arange(7)], expected[order[:7]])


def test_blocks_are_the_faces_in_order(features_on_disk: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fercache.trunks.BLOCK", 8)
    faces = Batch(features_of([ROWS], "cpu"), labels=torch.arange(50))
    blocks = list(faces.blocks())
    assert [len(block) for block in blocks] == [8, 8, 8, 8, 8, 8, 2]
    assert torch.equal(torch.cat([block.features for block in blocks]), torch.from_numpy(ROWS.astype(np.float32)))
    assert torch.equal(torch.cat([block.labels for block in blocks]), torch.arange(50))
    limit_features(None)
    (whole,) = Batch(features_of([ROWS], "cpu"), labels=torch.arange(50)).blocks()
    assert len(whole) == 50


def test_a_head_that_needs_all_features_says_so(features_on_disk: None) -> None:
    with pytest.raises(UsageError, match=r"features of 50 faces do not fit.*features\.mean.*--faces N.*memory"):
        features_of([ROWS], "cpu").mean(dim=0)


@pytest.mark.parametrize("faces", [1, 255, 256, 1000, 70_000])
def test_the_shuffle_on_disk_has_every_row_once(faces: int) -> None:
    order = shuffle_on_disk(faces, torch.Generator().manual_seed(3))
    assert torch.equal(order.sort().values, torch.arange(faces))
    assert torch.equal(order, shuffle_on_disk(faces, torch.Generator().manual_seed(3)))
    if faces > 1:
        assert not torch.equal(order, shuffle_on_disk(faces, torch.Generator().manual_seed(4)))


def test_the_shuffle_on_disk_reads_few_pieces_and_mixes_distant_rows() -> None:
    """A sorted table: a batch has rows of its whole window, and a window rows of the whole table."""
    order = shuffle_on_disk(1_000_000, torch.Generator().manual_seed(0))
    window = order[:65_536].sort().values
    assert int((window.diff() != 1).sum()) < 300
    spread = torch.stack([part.float().std() for part in order.split(128)[:7000]])
    whole = torch.arange(1_000_000).float().std()
    assert float(spread.min()) > 0.75 * float(whole)
