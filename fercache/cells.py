"""Cells of vectors, by k-means: near vectors are found without comparing all pairs, in the cells around each."""

import torch
from torch import Tensor

ROUNDS = 5
"""Steps of k-means: cells need not be the best, only near in every direction."""

TRAINED_ON = 50
"""Rows per cell that k-means sees, at most."""

PART = 4096


def fit_cells(rows: Tensor, count: int, seed: int) -> Tensor:
    """(count, d) centres of cells of `rows` (N, d), fitted to a part of them drawn with the seed."""
    from sklearn.cluster import KMeans  # prediction needs the cells, but not the seconds that this takes to load

    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(rows), generator=generator)[: count * TRAINED_ON]
    means = KMeans(count, init="random", n_init=1, max_iter=ROUNDS, random_state=seed % 2**32)
    seen = rows[drawn.to(rows.device)].float().cpu().numpy()
    return torch.from_numpy(means.fit(seen).cluster_centers_).to(rows.device)


def nearest_cells(rows: Tensor, centres: Tensor, count: int) -> Tensor:
    """(N, count) int32: the cells whose `centres` (K, d) are nearest to `rows` (N, d), the nearest first."""
    lengths = centres.square().sum(1) / 2
    parts = ((part.float() @ centres.T - lengths).topk(count, dim=1).indices.int() for part in rows.split(PART))
    return torch.cat([torch.empty(0, count, dtype=torch.int32, device=rows.device), *parts])


def by_cell(cell: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The rows sorted by their `cell` (N,), and the places (count + 1,) where each cell begins; the last is the end."""
    ordered, order = cell.sort(stable=True)
    return order, torch.searchsorted(ordered, torch.arange(count + 1, dtype=cell.dtype, device=cell.device))
