"""Cells of vectors: the nearest ones are found, also of many."""

import pytest
import torch
from torch import Tensor

from fercache import cells


def clustered(count: int, width: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    middles = torch.randn(200, width, generator=generator)
    drawn = middles[torch.randint(200, (count,), generator=generator)]
    return drawn + 0.3 * torch.randn(count, width, generator=generator)


def test_the_nearest_cells_are_those_at_the_least_distance() -> None:
    rows = clustered(5000)
    centres = cells.fit_cells(rows, 40, seed=1)
    expected = torch.cdist(rows, centres).topk(7, dim=1, largest=False).indices
    assert torch.equal(cells.nearest_cells(rows, centres, 7).long(), expected)


def test_the_nearest_of_many_cells_are_found_in_the_groups_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "MANY", 100)
    rows = clustered(20_000)
    centres = cells.fit_cells(rows, 400, seed=1)
    assert 360 <= len(centres) <= 400
    found = cells.nearest_cells(rows, centres, 8)
    assert all(len(set(row)) == 8 for row in found[:500].tolist())
    distances = torch.cdist(rows, centres)
    nearest = distances.topk(8, dim=1, largest=False)
    assert (found[:, 0] == nearest.indices[:, 0]).float().mean() > 0.99
    shared = (found[:, :, None] == nearest.indices[:, None]).any(2).float().mean()
    assert shared > 0.95
    assert torch.equal(distances.gather(1, found.long()).sort(dim=1).values, distances.gather(1, found.long()))


def test_rows_of_no_cell_and_empty_cells_are_places_too() -> None:
    order, starts = cells.by_cell(torch.tensor([2, 0, 2, 0]), 4)
    assert order.tolist() == [1, 3, 0, 2] and starts.tolist() == [0, 2, 2, 4, 4]
