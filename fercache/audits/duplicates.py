"""Duplicate images: pixel for pixel, or slightly changed (re-compressed, resized, cropped).

An encoder of expressions puts all smiling faces close together, so the plain cosine cannot distinguish a copy from a
similar face. Whitened features can: all directions count equally, and individual traits are in the weak ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fercache.audits.copy_index import CopyIndex, Found, Recall
from fercache.audits.whitening import CHUNK, Whitening
from fercache.identity import seed_from
from fercache.store.rows import Rows, take

EXACT = 100_000
"""Up to this many faces on each side, every pair is compared; beyond, an index finds near copies."""
RANDOM_PAIRS = 1_000_000
SAMPLE = 50_000
"""Faces of a large dataset that random pairs are taken from."""
MANY = 50
"""An image that occurs more often is a placeholder; all its pairs would fill memory."""
MOST_COLLECTED = 2_000_000
BY_CHANCE = 0.01
"""At most this share of the listed pairs (or half a pair, if that is more) is expected to be chance."""
TILE = (2048, 8192)
"""Rows and columns of the cosines in memory at once: 64 MB."""


@dataclass(frozen=True)
class SearchedFaces:
    """The input of the search: raw features (N, D), pixel hashes (N, 32), subjects (N,) or "", and copies.

    Features may be on disk. `copies` are raw features (S, D) of some faces, and of changed copies by kind of change.
    """

    features: Rows
    pixels: NDArray[np.uint8]
    subject: NDArray[Any]
    copies: tuple[NDArray[Any], Mapping[str, NDArray[Any]]] | None = None

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: NDArray[Any]) -> "SearchedFaces":
        """The faces of `rows`, a mask or indices, with the same copies."""
        return replace(self, features=take(self.features, rows), pixels=self.pixels[rows], subject=self.subject[rows])


@dataclass(frozen=True)
class CopyCalibration:
    """The cosine from which two images count as one. `rate` of random pairs of different images reach it (of different
    subjects, if known: two frames of one person may be more alike).

    `found` is the share of deliberate copies that reach it, by kind of change. With too few faces, the threshold is 1:
    then only identical pixels count.
    """

    threshold: float
    rate: float
    pairs: int
    found: Mapping[str, float] = field(default_factory=dict)

    @property
    def expected_by_chance(self) -> float:
        """Upper bound of pairs of different images among those found."""
        return self.rate * self.pairs


@dataclass(frozen=True)
class Pairs:
    """P duplicate pairs: rows of both sides (P,), their cosine (P,), whether pixel for pixel (P,).

    `recall` is that of the index, None where every pair was compared.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    cosine: NDArray[np.float32]
    identical: NDArray[np.bool_]
    calibration: CopyCalibration
    recall: Recall | None = None

    def __len__(self) -> int:
        return len(self.left)


def find_pairs(
    left: SearchedFaces,
    right: SearchedFaces | None,
    *,
    device: str = "cpu",
    report: Callable[[int], object] | None = None,
) -> Pairs:
    """The pairs between two datasets, or within one (`right` None: each pair once): identical ones, then closest first.

    Up to EXACT faces on each side, every pair is compared: time grows with the product of both sizes. Beyond, an index
    compares a share of the pairs; memory grows with the sum of the sizes. `report` is called with the number of
    finished rows.
    """
    other = left if right is None else right
    sides = (left,) if right is None else (left, right)
    count = len(left) * (len(left) - 1) // 2 if right is None else len(left) * len(right)
    whiten = Whitening.fit([side.features for side in sides])
    copies = _copies(sides, whiten)
    index = None
    if max(map(len, sides)) > EXACT:
        index = CopyIndex(whiten, left.features, None if right is None else right.features, device)
        some = [_sample(side) for side in sides]
        tail = _Tail(_random_cosines(some[0], some[-1], *_whitened(some, whiten)), count)
        rows, columns, cosines = index.pairs_above(tail.lowest_threshold(copies, faces=sum(map(len, sides))), report)
    else:
        ours, theirs = _whitened(sides, whiten)
        tail = _Tail(_random_cosines(left, other, ours, theirs=theirs), count)
        rows, columns, cosines = _above(ours, theirs, tail.floor, within=right is None, device=device, report=report)
    same = _identical(left.pixels, other.pixels, within=right is None)
    every = rows, columns, cosines
    changed = (left.pixels[rows] != other.pixels[columns]).any(axis=1)
    rows, columns, cosines = rows[changed], columns[changed], cosines[changed]
    calibration = tail.calibrate(np.sort(cosines)[::-1], copies)
    near = np.flatnonzero(cosines >= calibration.threshold)
    near = near[np.lexsort((columns[near], rows[near], -cosines[near]))]
    return Pairs(
        left=np.concatenate([same[:, 0], rows[near]]),
        right=np.concatenate([same[:, 1], columns[near]]),
        cosine=np.concatenate([np.ones(len(same), np.float32), cosines[near]]),
        identical=np.arange(len(same) + len(near)) < len(same),
        calibration=calibration,
        recall=None if index is None else index.recall(calibration.threshold, every),
    )


def _sample(faces: SearchedFaces) -> SearchedFaces:
    """Enough faces for random pairs, in memory."""
    rows = np.random.default_rng(seed_from("sample of pairs", len(faces))).permutation(len(faces))[:SAMPLE]
    return faces.take(np.sort(rows))


def _whitened(sides: Sequence[SearchedFaces], whiten: Whitening) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of the left and the right side; the same array within one set."""
    ours = whiten(sides[0].features)
    return ours, ours if len(sides) == 1 else whiten(sides[1].features)


def _copies(sets: Sequence[SearchedFaces], whiten: Whitening) -> dict[str, NDArray[np.float32]]:
    """Cosines of faces with their copies, by kind of change."""
    cosines: dict[str, list[NDArray[np.float32]]] = {}
    for one in sets:
        original, changed = one.copies or (one.features[:0], {})
        for kind, copy in changed.items():
            cosines.setdefault(kind, []).append((whiten(original) * whiten(copy)).sum(axis=1))
    return {kind: np.concatenate(parts) for kind, parts in cosines.items()}


def _identical(left: NDArray[np.uint8], right: NDArray[np.uint8], within: bool) -> NDArray[np.int64]:
    """(P, 2) rows of both sides with the same pixel hash; an image that occurs MANY times is paired once per row."""
    ours, theirs = (np.ascontiguousarray(side).view("S32").ravel() for side in (left, right))
    order = np.argsort(ours, kind="stable")
    ordered = ours[order]
    first = np.searchsorted(ordered, theirs)
    count = np.searchsorted(ordered, theirs, side="right") - first
    many = np.flatnonzero(count > MANY)
    # Each on the right with the first on the left; between two sets, each on the left with the first on the right.
    once = many if within else np.setdiff1d(many, many[np.unique(theirs[many], return_index=True)[1]])
    count[once] = 1
    columns = np.repeat(np.arange(len(right)), count)
    ends = np.cumsum(count)
    rows = order[np.repeat(first - ends + count, count) + np.arange(ends[-1] if len(ends) else 0)]
    found = np.stack([rows, columns], axis=1).astype(np.int64)
    return found[found[:, 0] < found[:, 1]] if within else found


class _Tail:
    """How often different images reach a cosine: counted among random pairs, and extrapolated as an exponential.

    The slope is that of the last decade that can be counted. With the encoders measured so far, tails fall slightly
    faster, not least because random pairs include copies; a heavier tail would be underestimated.
    """

    def __init__(self, cosines: NDArray[np.float32], pairs: int) -> None:
        self.pairs = pairs
        self.rare = max(1e-4, 100 / max(len(cosines), 1))
        self.floor, self.tenfold = 1.0, 0.0
        if self.rare < 0.05:
            common, rare = np.quantile(cosines, [1 - 10 * self.rare, 1 - self.rare])
            self.tenfold = max(float(rare - common), 1e-6)
            self._rare = float(rare)
            self.floor = max(self._rare, self.cosine_of(MOST_COLLECTED / max(pairs, 1)), 1e-3)

    def cosine_of(self, rate: float) -> float:
        """The cosine that the share `rate` of different images reaches."""
        return self._rare + self.tenfold * float(np.log10(self.rare / rate))

    def rate_of(self, cosine: NDArray[Any]) -> NDArray[np.float64]:
        """The share of different images that reaches `cosine`."""
        return np.asarray(self.rare * 10 ** ((self._rare - cosine) / self.tenfold))

    def lowest_threshold(self, copies: Mapping[str, NDArray[np.float32]], faces: int) -> float:
        """The threshold of `calibrate` if there are as many pairs as `faces`: it is rarely lower."""
        if self.floor >= 1:
            return 1.0
        return max(self.floor, self._halfway(copies), self.cosine_of(max(0.5, BY_CHANCE * faces) / self.pairs))

    def _halfway(self, copies: Mapping[str, NDArray[np.float32]]) -> float:
        typical = float(np.median(np.concatenate(list(copies.values())))) if copies else self.floor
        return (self._rare + typical) / 2

    def calibrate(self, descending: NDArray[np.float32], copies: Mapping[str, NDArray[np.float32]]) -> CopyCalibration:
        """The lowest threshold at which few enough of the found pairs (`descending` cosines) are chance.

        It is never closer to the cosines of random pairs than to the median of the copies: the tail may be longer than
        estimated, and nothing is gained below.
        """
        if self.floor >= 1:
            return CopyCalibration(1.0, 0.0, self.pairs)
        chance = self.rate_of(descending) * self.pairs
        allowed = np.maximum(0.5, BY_CHANCE * np.arange(1, len(descending) + 1))
        good = np.flatnonzero(chance <= allowed)
        lone = self.cosine_of(0.5 / self.pairs)
        few_by_chance = min(lone, float(descending[good[-1]])) if len(good) else lone
        threshold = min(1.0, max(self.floor, few_by_chance, self._halfway(copies)))
        found = {kind: float((cosines >= threshold).mean()) for kind, cosines in copies.items()}
        return CopyCalibration(threshold, float(self.rate_of(np.array(threshold))), self.pairs, found)


def _random_cosines(
    left: SearchedFaces, right: SearchedFaces, ours: NDArray[np.float32], theirs: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Cosines of random pairs of different images, of different subjects if known."""
    generator = np.random.default_rng(seed_from("random pairs", len(left), len(right)))
    wanted = min(RANDOM_PAIRS, len(left) * len(right))
    one, other = generator.integers(len(left), size=wanted), generator.integers(len(right), size=wanted)
    differ = (left.pixels[one] != right.pixels[other]).any(axis=1)
    subject = left.subject[one]
    differ &= (subject != right.subject[other]) | (subject == "")
    one, other = one[differ], other[differ]
    cosines = [
        np.einsum("nd,nd->n", ours[one[begin:end]], theirs[other[begin:end]])
        for begin in range(0, len(one), CHUNK)
        for end in [begin + CHUNK]
    ]
    return np.concatenate([*cosines, np.empty(0, np.float32)])


def _above(
    left: NDArray[np.float32],
    right: NDArray[np.float32],
    floor: float,
    within: bool,
    device: str,
    report: Callable[[int], object] | None,
) -> Found:
    """Row, column and cosine of all pairs with a cosine of at least `floor`, tile by tile."""
    one, other = torch.from_numpy(left).to(device), torch.from_numpy(right).to(device)
    # The same memory for every tile: results allocated between freed tiles would keep them from being reused.
    rooms = [torch.empty(TILE[0] * TILE[1], dtype=kind, device=device) for kind in (torch.float32, torch.bool)]
    found = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))]
    for top in range(0, len(left) if floor < 1 else 0, TILE[0]):
        for begin in range(top if within else 0, len(right), TILE[1]):
            upper, lower = one[top : top + TILE[0]], other[begin : begin + TILE[1]]
            cosines, near = (room[: len(upper) * len(lower)].view(len(upper), -1) for room in rooms)
            torch.mm(upper, lower.T, out=cosines)
            if within and begin < top + TILE[0]:
                cosines.triu_(top - begin + 1)
            rows, columns = torch.ge(cosines, floor, out=near).nonzero(as_tuple=True)
            values = cosines[rows, columns]
            found.append(((rows + top).cpu().numpy(), (columns + begin).cpu().numpy(), values.cpu().numpy()))
        if report:
            report(min(TILE[0], len(left) - top))
    parts = tuple(zip(*found, strict=True))
    return np.concatenate(parts[0]), np.concatenate(parts[1]), np.concatenate(parts[2])
