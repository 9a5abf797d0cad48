"""Cells of vectors, by k-means: near vectors are found without comparing all pairs, in the cells around each.

Many cells are themselves in groups, by k-means as well, so that time grows little faster than the number of vectors.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import isqrt

import torch
from torch import Tensor

ROUNDS = 5
"""Steps of k-means: cells need not be the best, only near in every direction."""

TRAINED_ON = 50
"""Rows per cell that k-means sees, at most."""

MANY = 1024
"""More cells than that are in groups."""
GROUPS_AROUND = 8
"""Groups in which the nearest of many cells are searched."""

PART = 4096


def fit_cells(rows: Tensor, count: int, seed: int) -> Tensor:
    """(K, d) centres of cells of `rows` (N, d), fitted to a part of them drawn with the seed; K is about `count`."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(rows), generator=generator)[: count * TRAINED_ON]
    seen = rows[drawn.to(rows.device)].float()
    if count <= MANY:
        return _means(seen, count, seed)
    groups = _means(seen, isqrt(count), seed)
    order, starts = by_cell(_nearest(seen, groups, 1)[:, 0], len(groups))
    members = [seen[order[begin:end]] for begin, end in _spans(starts) if end > begin]
    return torch.cat([_means(each, max(1, len(each) * count // len(seen)), seed) for each in members])


def _means(rows: Tensor, count: int, seed: int) -> Tensor:
    from sklearn.cluster import KMeans  # prediction needs the cells, but not the seconds that this takes to load

    means = KMeans(count, init="random", n_init=1, max_iter=ROUNDS, random_state=seed % 2**32)
    return torch.from_numpy(means.fit(rows.cpu().numpy()).cluster_centers_).to(rows.device)


def nearest_cells(rows: Tensor, centres: Tensor, count: int) -> Tensor:
    """(N, count) int32: the cells whose `centres` (K, d) are nearest to `rows` (N, d), the nearest first.

    Of many cells, those of the groups around a row are compared with it.
    """
    if len(centres) <= MANY:
        return _nearest(rows, centres, count)
    groups = _means(centres, isqrt(len(centres)), seed=0)
    order, starts = by_cell(_nearest(centres, groups, 1)[:, 0], len(groups))
    together = centres[order]
    places = [
        _nearest_in_groups(part.float(), together, groups, starts=starts, count=count) for part in rows.split(4 * PART)
    ]
    return order.int()[torch.cat(places)]


def _nearest(rows: Tensor, centres: Tensor, count: int) -> Tensor:
    parts = (_closeness(part.float(), centres).topk(count, dim=1).indices.int() for part in rows.split(PART))
    return torch.cat([torch.empty(0, count, dtype=torch.int32, device=rows.device), *parts])


def _nearest_in_groups(rows: Tensor, centres: Tensor, groups: Tensor, *, starts: Tensor, count: int) -> Tensor:
    """(N, count) places of the nearest `centres`, which are sorted by group; `starts` are the groups'."""
    around = _nearest(rows, groups, GROUPS_AROUND)
    visits, calls = by_cell(around.flatten(), len(groups))
    close = torch.full((around.numel(), count), -torch.inf, device=rows.device)
    places = torch.zeros(close.shape, dtype=torch.int64, device=rows.device)
    for (begin, end), (first, last) in zip(_spans(starts), _spans(calls), strict=True):
        visitors = visits[first:last]
        best = _closeness(rows[visitors // GROUPS_AROUND], centres[begin:end]).topk(min(count, end - begin), dim=1)
        close[visitors, : best.values.shape[1]] = best.values
        places[visitors, : best.values.shape[1]] = best.indices + begin
    nearest = close.view(len(rows), -1).topk(count, dim=1).indices
    return places.view(len(rows), -1).gather(1, nearest)


def _closeness(rows: Tensor, centres: Tensor) -> Tensor:
    """(N, K): higher for nearer centres, in the order of the distance."""
    return rows @ centres.T - centres.square().sum(1) / 2


def _spans(starts: Tensor) -> Iterator[tuple[int, int]]:
    bounds: list[int] = starts.tolist()
    return pairwise(bounds)


def by_cell(cell: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The rows sorted by their `cell` (N,), and the places (count + 1,) where each cell begins; the last is the end."""
    ordered, order = cell.sort(stable=True)
    return order, torch.searchsorted(ordered, torch.arange(count + 1, dtype=cell.dtype, device=cell.device))
