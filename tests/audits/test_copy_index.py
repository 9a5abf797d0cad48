"""The index finds what the search of all pairs finds, comparing a part of the pairs."""

from pathlib import Path

import numpy as np
import pytest

from fercache.audits import copy_index, duplicates
from fercache.audits.copy_index import Recall
from fercache.audits.duplicates import Pairs, SearchedFaces, find_pairs
from fercache.store.rows import Piece, StoredRows
from tests.audits.made_faces import made_faces, with_copies

COUNT, COPIES = 6000, 300
RANDOM = np.random.default_rng(0)
OF, ROWS = np.split(RANDOM.permutation(COUNT)[: 2 * COPIES], 2)


@pytest.fixture
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index from 3,000 faces on, with so many cells that each face is compared with a quarter of the others."""
    monkeypatch.setattr(duplicates, "EXACT", 3000)
    monkeypatch.setattr(copy_index, "CELL", 50)
    monkeypatch.setattr(copy_index, "VISITORS", 2048)


def within() -> SearchedFaces:
    faces = made_faces(COUNT, seed=1)
    return with_copies(faces, ROWS, faces.features[OF], seed=2)


def between() -> tuple[SearchedFaces, SearchedFaces]:
    left = made_faces(COUNT, seed=1)
    return left, with_copies(made_faces(2000, seed=3), np.arange(COPIES), left.features[OF], seed=4)


def keys(found: Pairs) -> set[tuple[int, int]]:
    return set(zip(found.left.tolist(), found.right.tolist(), strict=True))


def recall(found: Pairs, exact: Pairs) -> float:
    return len(keys(found) & keys(exact)) / len(exact)


def test_within_a_set_it_finds_planted_copies(request: pytest.FixtureRequest) -> None:
    exact = find_pairs(within(), None)
    assert exact.recall is None and len(exact) >= COPIES - 5
    request.getfixturevalue("small_cells")
    found = find_pairs(within(), None)
    assert recall(found, exact) >= 0.99
    assert len(keys(found)) == len(found), "each pair once"
    assert (found.left < found.right).all()
    assert (found.cosine >= found.calibration.threshold).all() and (np.diff(found.cosine) <= 0).all()
    assert found.calibration.threshold == pytest.approx(exact.calibration.threshold, abs=0.05)


def test_between_two_sets_whichever_is_larger(request: pytest.FixtureRequest) -> None:
    left, right = between()
    exact = find_pairs(left, right)
    request.getfixturevalue("small_cells")
    found, turned = find_pairs(left, right), find_pairs(right, left)
    assert recall(found, exact) >= 0.99
    assert len(keys(found) & {(b, a) for a, b in keys(turned)}) >= 0.99 * len(exact)


@pytest.mark.usefixtures("small_cells")
def test_identical_pixels_are_found_by_hash_and_not_listed_as_near() -> None:
    faces = within()
    faces.pixels[ROWS[:10]] = faces.pixels[OF[:10]]
    found = find_pairs(faces, None)
    assert found.identical.sum() == 10
    assert len(keys(found)) == len(found)


@pytest.mark.usefixtures("small_cells")
def test_the_measured_recall_is_that_of_the_sampled_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_index, "SAMPLED", COUNT)
    good = find_pairs(within(), None).recall
    assert good is not None and good.rows == COUNT
    assert good.pairs >= 2 * (COPIES - 5) and good.found >= 0.99 * good.pairs, "each pair is met from both sides"
    monkeypatch.setattr(copy_index, "PROBES", 1)
    poor = find_pairs(within(), None).recall
    assert poor is not None and poor.pairs == pytest.approx(good.pairs, rel=0.05) and poor.found < 0.95 * poor.pairs


@pytest.mark.usefixtures("small_cells")
def test_features_may_be_on_disk(tmp_path: Path) -> None:
    faces = within()
    faces.features.tofile(tmp_path / "features")
    stored = StoredRows([Piece(tmp_path / "features", 0, COUNT)], faces.features.shape[1], faces.features.dtype)
    on_disk = SearchedFaces(stored, faces.pixels, faces.subject)
    assert keys(find_pairs(on_disk, None)) == keys(find_pairs(faces, None))


@pytest.mark.usefixtures("small_cells")
def test_progress_counts_every_row_of_the_left_side() -> None:
    done: list[int] = []
    find_pairs(*between(), report=done.append)
    assert sum(done) == COUNT and max(done) == 2048


@pytest.mark.usefixtures("small_cells")
def test_a_large_set_and_an_empty_one() -> None:
    faces = made_faces(COUNT, seed=1)
    for sides in ((faces, made_faces(0, seed=2)), (made_faces(0, seed=2), faces)):
        found = find_pairs(*sides)
        assert len(found) == 0 and found.recall == Recall(min(len(sides[0]), copy_index.SAMPLED), 0, 0)
