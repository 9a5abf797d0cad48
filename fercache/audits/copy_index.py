"""Near copies among millions of faces: each is compared with the faces in the cells around it, not with all.

First in the strongest whitened directions, in which changed copies deviate least, in 16 bits; pairs that come close to
the threshold are then compared in all directions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fercache.audits.whitening import Whitening
from fercache.cells import by_cell, fit_cells, nearest_cells
from fercache.identity import seed_from
from fercache.store.rows import Rows

DIRECTIONS = 256
"""Strongest whitened directions of the first comparison."""
SLACK = 0.1
"""A pair's cosine in those may be this much lower than in all directions."""

CELL = 512
"""Faces per cell, on average."""
PROBES = 32
"""Cells around each face that are searched."""
VISITORS = 262_144
"""Faces whose cells are searched together."""
ACROSS = 4096

SAMPLED = 1000
"""Rows that are searched exactly as well, to measure the recall."""

Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]
"""Row, column and cosine of each pair."""
Report = Callable[[int], object]


@dataclass(frozen=True)
class Recall:
    """How many of the `pairs` that an exact search of `rows` sampled rows finds were `found` by the index as well."""

    rows: int
    pairs: int
    found: int


@dataclass(frozen=True)
class CopyIndex:
    """The faces of one set or two; `right` is None within one set."""

    whiten: Whitening
    left: Rows
    right: Rows | None
    device: str

    def pairs_above(self, floor: float, report: Report | None) -> Found:
        """The pairs with a cosine of at least `floor`, each once, without most of those that are in distant cells.

        `report` is called with numbers of finished rows of the left side.
        """
        sides = [self.left] if self.right is None else [self.left, self.right]
        sketches = [self._sketch(side) for side in sides]
        centres = _centres(sketches)
        cells = [torch.cat([nearest_cells(part, centres, 1)[:, 0] for part in one.split(VISITORS)]) for one in sketches]
        width = max(len(sketches[-1]), 1)
        keys = [np.empty(0, np.int64)]
        for visitor in range(len(sides)):
            host = len(sides) - 1 - visitor
            lists = by_cell(cells[host], len(centres))
            for begin, part in _parts(sketches[visitor]):
                for members, visitors in _near(sketches[host], part, centres, lists=lists, floor=floor - SLACK):
                    one, other = (visitors + begin, members) if visitor == 0 else (members, visitors + begin)
                    if self.right is None:
                        one, other = torch.minimum(one, other), torch.maximum(one, other)
                        one, other = one[one != other], other[one != other]
                    keys.append(np.unique((one * width + other).cpu().numpy()))
                if report and visitor == 0:
                    report(len(part))
        rows, columns = np.divmod(np.unique(np.concatenate(keys)), width)
        cosines = self.whiten.cosines(self.left, sides[-1], (rows, columns))
        kept = cosines >= floor
        return rows[kept], columns[kept], cosines[kept]

    def recall(self, threshold: float, found: Found) -> Recall:
        """Measured with rows of the left side, each compared with all others in all directions."""
        other = self.left if self.right is None else self.right
        generator = np.random.default_rng(seed_from("recall", len(self.left), len(other)))
        rows = np.sort(generator.permutation(len(self.left))[:SAMPLED])
        sample = torch.from_numpy(self.whiten(self.left[rows])).to(self.device)
        pairs = found[0] * len(other) + found[1]
        count = hits = 0
        for begin in range(0, len(other), CELL * PROBES):
            block = torch.from_numpy(self.whiten(other[begin : begin + CELL * PROBES])).to(self.device)
            one, column = (index.cpu().numpy() for index in (sample @ block.T >= threshold).nonzero(as_tuple=True))
            row, column = rows[one], column + begin
            if self.right is None:
                row, column = (side[row != column] for side in (row, column))
                row, column = np.minimum(row, column), np.maximum(row, column)
            count += len(row)
            hits += int(np.isin(row * len(other) + column, pairs).sum())
        return Recall(len(rows), count, hits)

    def _sketch(self, features: Rows) -> Tensor:
        """(N, d) float16 unit vectors in the strongest directions."""
        whiten = self.whiten.strongest(DIRECTIONS)
        shape = len(features), whiten.projection.shape[1]
        sketch = torch.empty(shape, dtype=torch.float16, device=self.device)
        for begin in range(0, len(features), VISITORS // 8):
            rows = slice(begin, begin + VISITORS // 8)
            sketch[rows] = torch.from_numpy(whiten(features[rows])).to(sketch)
        return sketch


def _parts(sketch: Tensor) -> Iterator[tuple[int, Tensor]]:
    return ((begin, sketch[begin : begin + VISITORS]) for begin in range(0, len(sketch), VISITORS))


def _centres(sketches: list[Tensor]) -> Tensor:
    """Of cells of CELL faces; fitted to some of the faces of all sides."""
    count = max(1, sum(map(len, sketches)) // CELL)
    step = max(1, sum(map(len, sketches)) // (100 * count))
    return fit_cells(torch.cat([sketch[::step] for sketch in sketches]), count, seed_from("cells"))


def _near(
    hosts: Tensor, visitors: Tensor, centres: Tensor, *, lists: tuple[Tensor, Tensor], floor: float
) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows of `hosts` and of `visitors` with a cosine of at least `floor`, where the host's cell is near the visitor.

    `lists` are the hosts by cell.
    """
    order, starts = lists
    probes = min(PROBES, len(centres))
    visits, calls = by_cell(nearest_cells(visitors, centres, probes).flatten(), len(centres))
    for cell in range(len(centres)):
        members = order[starts[cell] : starts[cell + 1]]
        inside = hosts.index_select(0, members).float()
        for visiting in (visits[calls[cell] : calls[cell + 1]] // probes).split(ACROSS):
            cosines = visitors.index_select(0, visiting).float() @ inside.T
            close = (cosines.amax(1) >= floor).nonzero().flatten() if len(members) else visiting[:0]
            one, other = (cosines[close] >= floor).nonzero(as_tuple=True)
            yield members[other], visiting[close[one]]
