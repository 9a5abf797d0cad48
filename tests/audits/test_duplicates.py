"""Copies are found among look-alikes, and nothing else is."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fercache.audits import duplicates
from fercache.audits.duplicates import CopyCalibration, Pairs, SearchedFaces, find_pairs
from fercache.audits.whitening import Whitening
from tests.audits.made_faces import DIMENSION, changed, made_faces, with_copies

ROWS = np.array([3, 77, 150, 151, 399])
OF = np.array([401, 8, 299, 5, 222])


def both() -> tuple[SearchedFaces, SearchedFaces]:
    """Two sets; ROWS of the second one are changed copies of OF in the first one."""
    left = made_faces(500, seed=1)
    return left, with_copies(made_faces(400, seed=2), ROWS, left.features[OF], seed=3)


def within() -> SearchedFaces:
    """A dataset whose ROWS are changed copies of OF."""
    faces = made_faces(500, seed=4)
    return with_copies(faces, ROWS, faces.features[OF], seed=5)


def pairs_of(found: Pairs) -> list[tuple[int, int]]:
    return list(zip(found.left.tolist(), found.right.tolist(), strict=True))


PLANTED = sorted(zip(OF.tolist(), ROWS.tolist(), strict=True))
PLANTED_WITHIN = sorted((min(pair), max(pair)) for pair in PLANTED)


def test_copies_between_two_sets() -> None:
    left, right = both()
    found = find_pairs(left, right)
    assert sorted(pairs_of(found)) == PLANTED
    assert not found.identical.any()
    assert (found.cosine >= found.calibration.threshold).all()
    assert (np.diff(found.cosine) <= 0).all(), "the closest come first"


def test_the_other_way_round_the_same_pairs_are_found() -> None:
    left, right = both()
    assert sorted((a, b) for b, a in pairs_of(find_pairs(right, left))) == PLANTED


def test_copies_within_a_set_come_once_and_never_as_themselves() -> None:
    assert sorted(pairs_of(find_pairs(within(), None))) == PLANTED_WITHIN


def test_the_plain_cosine_would_not_have_told_them_apart() -> None:
    left, right = (one.features / np.linalg.norm(one.features, axis=1, keepdims=True) for one in both())
    cosines = left @ right.T
    copies = cosines[OF, ROWS].copy()
    cosines[OF, ROWS] = -1
    assert (cosines > np.median(copies)).sum() > 100


def test_a_set_without_copies_has_none() -> None:
    assert len(find_pairs(made_faces(500, seed=6), made_faces(400, seed=7))) == 0
    assert len(find_pairs(made_faces(500, seed=6), None)) == 0


@pytest.mark.parametrize("count", [1, 2, 30, 400])
def test_identical_pixels_are_found_whatever_the_features_say(count: int) -> None:
    left, right = made_faces(count, seed=8), made_faces(count, seed=9)
    right.pixels[0] = left.pixels[count - 1]
    found = find_pairs(left, right)
    assert pairs_of(found) == [(count - 1, 0)]
    assert found.identical.tolist() == [True]
    assert found.cosine.tolist() == [1]


def test_every_pair_of_identical_pixels_counts_once_and_stands_first() -> None:
    faces = within()
    faces.pixels[[10, 20, 30]] = faces.pixels[40]
    found = find_pairs(faces, None)
    assert sorted(pairs_of(found)[:6]) == [(10, 20), (10, 30), (10, 40), (20, 30), (20, 40), (30, 40)]
    assert found.identical.tolist() == [True] * 6 + [False] * 5


def test_a_copy_with_identical_pixels_is_not_listed_as_near_as_well() -> None:
    left, right = both()
    right.pixels[ROWS[0]] = left.pixels[OF[0]]
    found = find_pairs(left, right)
    assert sorted(pairs_of(found)) == PLANTED
    assert found.identical.sum() == 1


@pytest.mark.parametrize("tile", [(7, 1000), (64, 64), (1000, 13), (100, 30)])
def test_tiles_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch, tile: tuple[int, int]) -> None:
    left, right = both()
    one = within()
    expected = [find_pairs(left, right), find_pairs(right, left), find_pairs(one, None)]
    monkeypatch.setattr(duplicates, "TILE", tile)
    for before, now in zip(
        expected, [find_pairs(left, right), find_pairs(right, left), find_pairs(one, None)], strict=True
    ):
        assert pairs_of(now) == pairs_of(before)
        np.testing.assert_allclose(now.cosine, before.cosine, atol=1e-6)
        assert now.calibration.threshold == pytest.approx(before.calibration.threshold)


def test_progress_counts_every_row_of_the_left_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "TILE", (64, 64))
    done: list[int] = []
    find_pairs(*both(), report=done.append)
    assert sum(done) == 500
    assert max(done) == 64


def test_the_same_twice() -> None:
    one, other = find_pairs(*both()), find_pairs(*both())
    assert one.calibration == other.calibration
    for name in ("left", "right", "cosine", "identical"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def frames() -> SearchedFaces:
    """Ten images of each of sixty people, alike but not copies; the ROWS are copies of OF."""
    people, random = made_faces(60, seed=10), np.random.default_rng(11)
    features = people.features.repeat(10, axis=0) + 0.8 * random.normal(size=(600, DIMENSION))
    faces = replace(
        made_faces(600, seed=12),
        features=features.astype(np.float32),
        subject=np.array([f"person {row // 10}" for row in range(600)], dtype=object),
    )
    return with_copies(faces, ROWS, faces.features[OF], seed=13)


def test_images_of_one_subject_do_not_affect_the_calibration() -> None:
    known = find_pairs(frames(), None)
    unknown = find_pairs(replace(frames(), subject=np.full(600, "", dtype=object)), None)
    assert set(PLANTED_WITHIN) <= set(pairs_of(known))
    assert known.calibration.threshold < unknown.calibration.threshold - 0.1


def test_too_few_faces_to_tell() -> None:
    left, right = made_faces(40, seed=14), made_faces(40, seed=15)
    right = with_copies(right, np.array([1]), left.features[[2]], seed=16)
    found = find_pairs(left, right)
    assert len(found) == 0
    assert found.calibration == CopyCalibration(1.0, 0.0, 1600)
    assert found.calibration.expected_by_chance == 0


def test_no_faces_have_no_copies() -> None:
    left, nobody = made_faces(60, seed=17), made_faces(0, seed=18)
    assert len(find_pairs(left, nobody)) == 0
    assert len(find_pairs(nobody, left)) == 0


def test_copies_made_on_purpose_say_how_many_would_be_found() -> None:
    left, right = both()
    assert find_pairs(left, right).calibration.found == {}
    original = left.features[:20]
    other = made_faces(20, seed=19).features
    kinds = {"like the planted": changed(original, seed=20), "another image": other}
    left, right = replace(left, copies=(original, kinds)), replace(right, copies=(original[:0], {}))
    calibration = find_pairs(left, right).calibration
    assert calibration.found == {"like the planted": 1, "another image": 0}


def test_the_threshold_is_not_far_below_what_copies_reach() -> None:
    """Where copies are nearly equal, a pair that is merely alike is none."""
    left, right = both()
    original = left.features[:20]
    exact = replace(left, copies=(original, {"nothing": original}))
    unsure, sure = find_pairs(left, right).calibration, find_pairs(exact, right).calibration
    assert sure.threshold > unsure.threshold
    assert sure.found == {"nothing": 1}


def test_few_of_the_listed_pairs_can_be_chance() -> None:
    calibration = find_pairs(*both()).calibration
    assert calibration.pairs == 500 * 400
    assert calibration.expected_by_chance == calibration.rate * calibration.pairs
    assert 0 < calibration.expected_by_chance <= 0.5 + 1e-9
    assert find_pairs(within(), None).calibration.pairs == 500 * 499 // 2


def by_hand(
    left: SearchedFaces, right: SearchedFaces | None, threshold: float
) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """All pairs that certainly count, and those that a rounding error decides."""
    sides = (left,) if right is None else (left, right)
    whiten = Whitening.fit([side.features for side in sides])
    other = left if right is None else right
    ours, theirs = whiten(left.features), whiten(other.features)
    certain, unsure = set(), set()
    for i in range(len(left)):
        for j in range(0 if right is not None else i + 1, len(other)):
            cosine = 2.0 if (left.pixels[i] == other.pixels[j]).all() else float(ours[i] @ theirs[j])
            if cosine >= threshold + 1e-5:
                certain.add((i, j))
            elif cosine >= threshold - 1e-5:
                unsure.add((i, j))
    return certain, unsure


@given(
    seed=st.integers(0, 2**32),
    sizes=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    copied=st.integers(0, 20),
    identical=st.integers(0, 5),
    alone=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_a_double_loop_finds_the_same(
    seed: int, sizes: tuple[int, int], copied: int, identical: int, alone: bool
) -> None:
    random = np.random.default_rng(seed)

    def drawn(side: SearchedFaces, count: int) -> NDArray[Any]:
        return random.integers(len(side), size=count)

    left, right = (made_faces(size, seed=seed + i) for i, size in enumerate(sizes))
    right = left if alone else right
    right.features[drawn(right, copied)] = changed(left.features[drawn(left, copied)], seed)
    right.pixels[drawn(right, identical)] = left.pixels[drawn(left, identical)]
    found = find_pairs(left, None if alone else right)
    certain, unsure = by_hand(left, None if alone else right, found.calibration.threshold)
    pairs = pairs_of(found)
    assert len(set(pairs)) == len(pairs)
    assert certain <= set(pairs) <= certain | unsure


LARGE = """
import resource, sys
import numpy as np, torch
from fercache.audits.duplicates import SearchedFaces, find_pairs
torch.set_num_threads(1)
random = np.random.default_rng(0)
features = random.normal(size=(20_000, 64)).astype(np.float32)
pixels = random.integers(256, size=(20_000, 32), dtype=np.uint8)
faces = SearchedFaces(features, pixels, np.full(20_000, "", dtype=object))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
find_pairs(faces, None)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024))
"""


def test_memory_does_not_grow_with_the_product_of_the_sizes() -> None:
    pytest.importorskip("resource")
    grown = subprocess.run([sys.executable, "-c", LARGE], check=True, capture_output=True, text=True).stdout
    assert int(grown) < 20_000**2 * 4 / 3


def test_an_image_that_is_everywhere_is_listed_once_for_each_face() -> None:
    faces, others = made_faces(200, seed=30), made_faces(90, seed=31)
    for each in (faces, others):
        each.pixels[:] = 7
    within, between = find_pairs(faces, None), find_pairs(faces, others)
    assert within.identical.sum() == 199
    assert set(within.right[within.identical]) == set(range(1, 200))
    assert between.identical.sum() == 200 + 89
    assert set(between.left[between.identical]) == set(range(200))
    assert set(between.right[between.identical]) == set(range(90))


def test_identical_images_make_no_room_for_chance() -> None:
    faces = made_faces(2000, seed=32)
    assert len(find_pairs(faces, faces)) == 2000


def test_features_that_are_all_alike_have_no_near_copies() -> None:
    faces = made_faces(300, seed=33)
    assert len(find_pairs(replace(faces, features=np.ones_like(faces.features)), None)) == 0
