"""The shuffle test against a plain loop, and what was planted."""

import time
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from fercache.scoring.label_shuffles import label_shuffle_test


def distance_between_means(vectors: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    means = [np.mean([v for v, label in zip(vectors, truth, strict=True) if label == k], axis=0) for k in set(truth)]
    return float(np.mean([np.sqrt(((one - other) ** 2).sum()) for one, other in combinations(means, 2)]))


def test_the_shuffle_test_is_that_of_a_plain_loop() -> None:
    generator = np.random.default_rng(7)
    truth = np.repeat([0, 2, 5], [9, 4, 12])  # two expressions have no faces
    vectors = 3 + generator.random((25, 6)) + 0.11 * truth[:, None]
    null = [distance_between_means(vectors, generator.permutation(truth)) for _ in range(4000)]
    expected = distance_between_means(vectors, truth)
    distance, null_mean, p = label_shuffle_test(vectors, truth, seed=0, shuffles=4000)
    assert distance == pytest.approx(expected, rel=1e-5)
    assert null_mean == pytest.approx(np.mean(null), rel=0.02)
    assert p == pytest.approx(np.mean(np.array(null) >= expected), abs=0.005)


def test_every_shuffle_is_counted_whatever_the_batches() -> None:
    truth = np.repeat([0, 1], 20)
    for shuffles in (1, 32, 99):
        _, _, p = label_shuffle_test(np.eye(2)[truth], truth, seed=0, shuffles=shuffles)
        assert p == 1 / (1 + shuffles)


def test_where_expressions_do_not_differ_a_small_p_is_rare() -> None:
    generator = np.random.default_rng(8)
    truth = np.repeat([0, 1, 2], [20, 8, 12])
    found = [label_shuffle_test(generator.random((40, 5)), truth, seed=seed, shuffles=199)[2] for seed in range(600)]
    assert np.mean(np.array(found) < 0.01) <= 0.012  # 0.5 % is expected: the least p of 199 shuffles is 0.005
    assert np.mean(np.array(found) <= 0.1) == pytest.approx(0.1, abs=0.04)
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)


def test_a_difference_between_expressions_is_found() -> None:
    generator = np.random.default_rng(9)
    truth = np.repeat([0, 1, 2], 30)
    vectors = generator.normal(size=(90, 50))
    vectors[truth == 1, :5] += 1
    distance, null_mean, p = label_shuffle_test(vectors, truth, seed=0)
    assert p == 0.001 and distance > null_mean


def test_labellings_that_are_alike_count_as_far_and_equal_vectors_are_no_distance() -> None:
    generator = np.random.default_rng(12)
    truth = np.repeat([0, 1, 2], 2)
    faces = [9 * truth[:, None] + generator.random((6, 7)) for _ in range(20)]
    p = [label_shuffle_test(each, truth, seed=seed, shuffles=3000)[2] for seed, each in enumerate(faces)]
    assert p == pytest.approx([1 / 15] * 20, abs=0.018)  # of 15 ways to pair six faces, one is the true one
    equal = np.full((30, 4), 0.1, dtype=np.float32)
    assert label_shuffle_test(equal, np.arange(30) % 4, seed=0, shuffles=9) == (0, 0, 1)


def test_equal_seeds_shuffle_alike() -> None:
    vectors, truth = np.random.default_rng(10).random((30, 3)), np.arange(30) % 3
    one, two, other = (label_shuffle_test(vectors, truth, seed=seed) for seed in (1, 1, 2))
    assert one == two and one[1] != other[1]


def test_one_expression_is_at_no_distance() -> None:
    with pytest.raises(ValueError, match="two of them, found 1"):
        label_shuffle_test(np.ones((3, 2)), np.array([4, 4, 4]), seed=0)


def test_masks_of_a_whole_test_split_are_shuffled_fast() -> None:
    generator = np.random.default_rng(11)
    masks, truth = generator.random((3600, 512), dtype=np.float32), generator.integers(7, size=3600)
    start = time.process_time()
    label_shuffle_test(masks, truth, seed=0)
    assert time.process_time() - start < 8  # gathering the faces of every shuffle takes longer than that
