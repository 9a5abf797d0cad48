"""Distances between features: against closed forms of known Gaussians, and against their own noise."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fercache.scoring.drift import (
    BLOCK,
    FEWEST,
    MOST_FACES,
    drift,
    frechet_distance,
    maximum_mean_discrepancy,
    proxy_a_distance,
)

DIRECTIONS = 8


def drawn(faces: int, seed: int, shift: float = 0.0, scale: float = 1.0, directions: int = DIRECTIONS) -> NDArray:
    """Gaussian features; `shift` moves every direction."""
    return np.random.default_rng(seed).normal(shift, scale, (faces, directions)) + 3


def test_the_frechet_distance_of_known_gaussians() -> None:
    """Of normals with commuting covariances: |m1 - m2|^2 + sum of (s1 - s2)^2 over the directions."""
    one, other = drawn(200_000, 0), drawn(200_000, 1, shift=0.5, scale=2.0)
    assert frechet_distance(one, other) == pytest.approx(DIRECTIONS * (0.25 + 1.0), rel=0.02)
    assert frechet_distance(one, drawn(200_000, 2)) == pytest.approx(0, abs=0.01)


def test_the_frechet_distance_of_gaussians_that_do_not_commute() -> None:
    """Two directions, the second one rotated by 45 degrees: the matrix root is written out by hand."""
    random = np.random.default_rng(3)
    stretched = random.normal(size=(400_000, 2)) * [3.0, 1.0]
    turn = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    turned = (random.normal(size=(400_000, 2)) * [3.0, 1.0]) @ turn
    ours, theirs = np.diag([9.0, 1.0]), turn.T @ np.diag([9.0, 1.0]) @ turn
    # tr (S1 S2)^(1/2) of a 2 x 2 product: (tr P + 2 (det P)^(1/2))^(1/2).
    product = ours @ theirs
    common = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    assert frechet_distance(stretched, turned) == pytest.approx(20 - 2 * common, rel=0.03)


def test_the_frechet_distance_bears_fewer_faces_than_directions() -> None:
    one, other = drawn(30, 0, directions=100), drawn(30, 1, directions=100)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-3)
    assert np.isfinite(frechet_distance(one, other))
    assert frechet_distance(np.ones((30, 5)), np.ones((30, 5))) == pytest.approx(0)


def test_the_a_distance_is_nothing_for_one_distribution_and_two_for_others() -> None:
    same = [proxy_a_distance(drawn(500, seed), drawn(500, 100 + seed), seed=seed) for seed in range(10)]
    assert abs(np.mean(same)) < 0.1  # 10,000 answers of a coin: a deviation of 0.02 around 0
    assert proxy_a_distance(drawn(500, 0), drawn(500, 1, shift=5), seed=0) == 2


def test_the_a_distance_of_a_known_shift_is_that_of_the_best_linear_classifier() -> None:
    """Two normals that are d apart: the error is Phi(-d / 2), 0.1587 for two deviations."""
    one, other = drawn(3000, 0, directions=4), drawn(3000, 1, directions=4)
    other[:, 0] += 2
    assert proxy_a_distance(one, other, seed=0) == pytest.approx(2 * (1 - 2 * 0.1587), abs=0.04)


def test_the_discrepancy_of_normals_is_that_of_the_closed_form() -> None:
    """E exp(-d^2 / 2 m) for d ~ N(shift, 2 I) is (m / (m + 2))^(D / 2) exp(-shift^2 / 2 (m + 2))."""
    one, other = drawn(40 * BLOCK, 0), drawn(40 * BLOCK, 1, shift=0.5)
    pairs = ((one, one), (one, other), (other, one), (other, other))
    middle = np.median([((ours[:-1] - theirs[1:]) ** 2).sum(axis=1) for ours, theirs in pairs])
    expected = 2 * (middle / (middle + 2)) ** (DIRECTIONS / 2) * -np.expm1(-0.25 * DIRECTIONS / (2 * (middle + 2)))
    assert maximum_mean_discrepancy(one, other) == pytest.approx(expected, rel=0.05)


def test_the_discrepancy_is_nothing_for_one_distribution() -> None:
    same = [maximum_mean_discrepancy(drawn(300, seed), drawn(300, 100 + seed)) for seed in range(40)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(40)  # unbiased: below 0 as often as above
    assert maximum_mean_discrepancy(drawn(300, 0), drawn(300, 1, shift=5)) > 0.5
    assert maximum_mean_discrepancy(np.ones((30, 5)), np.ones((30, 5))) == pytest.approx(0)


def test_without_drift_a_target_is_as_far_as_the_halves_of_the_source_are_apart() -> None:
    features = drawn(6000, 0, directions=64)
    found = drift(features[:4000], features[4000:], seed=1)
    assert found is not None and found.faces == 2000
    assert found.frechet == pytest.approx(found.frechet_floor, rel=0.1)
    assert abs(found.a_distance) < 0.2 and abs(found.a_distance_floor) < 0.2
    assert found.mmd == pytest.approx(0, abs=0.002) and found.mmd_floor == pytest.approx(0, abs=0.002)
    assert found.norm_ratio == pytest.approx(1, abs=0.01)


def test_the_larger_the_shift_the_farther() -> None:
    source = drawn(4000, 0, directions=32)
    found = [drift(source, drawn(1000, 1, shift, directions=32), seed=0) for shift in (0.0, 0.1, 0.3, 1.0)]
    assert all(found)
    for one, farther in pairwise(found):
        assert one and farther and one.frechet < farther.frechet and one.a_distance < farther.a_distance
        assert one.mmd is not None and farther.mmd is not None and one.mmd < farther.mmd
        assert one.norm_ratio and farther.norm_ratio and one.norm_ratio < farther.norm_ratio
    assert len({each.frechet_floor for each in found if each}) == 1


@settings(max_examples=15, deadline=None)
@given(source=st.integers(0, 90), target=st.integers(0, 60), seed=st.integers(0, 2**63))
def test_too_few_faces_say_nothing_and_equal_seeds_say_the_same(source: int, target: int, seed: int) -> None:
    features = drawn(source, 0).astype(np.float16), drawn(target, 1).astype(np.float16)
    found = drift(*features, seed=seed)
    assert (found is None) == (min(target, source // 2) < FEWEST)
    assert found == drift(*features, seed=seed)


def test_as_many_faces_a_side_as_both_have_and_no_more_than_the_most() -> None:
    found = [drift(drawn(n, 0), drawn(m, 1), seed=0) for n, m in ((20_000, 9000), (100, 9000), (9000, 30))]
    assert [each and each.faces for each in found] == [MOST_FACES, 50, 30]
