"""The bootstrap: how often its intervals hold the truth, what it keeps fixed, how fast it is; the test by shuffling."""

import time
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from fercache import metrics
from fercache.statistics import Metric, bootstrap_interval, label_shuffle_test

SUPPORT = (160, 60, 80)
CONFUSION = np.array([[0.8, 0.15, 0.05], [0.3, 0.5, 0.2], [0.1, 0.2, 0.7]])
"""Probability of each prediction, by true class."""


def draw_faces(generator: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    truth = np.repeat(np.arange(3), SUPPORT)
    predicted = np.concatenate([generator.choice(3, size=n, p=CONFUSION[k]) for k, n in enumerate(SUPPORT)])
    return truth, predicted


def as_confusion(probability: NDArray[np.float64]) -> NDArray[np.int64]:
    """Counts in which the probabilities are exact."""
    return np.round(probability * np.array(SUPPORT)[:, None] * 1000).astype(np.int64)


@pytest.mark.parametrize("metric", [metrics.accuracy, metrics.uar, metrics.macro_f1])
def test_intervals_hold_the_truth_as_often_as_they_say(metric: Metric) -> None:
    truth_value = float(metric(as_confusion(CONFUSION)))
    generator = np.random.default_rng(0)
    held = []
    for seed in range(200):
        low, high = bootstrap_interval(*draw_faces(generator), metric, seed=seed, resamples=300, level=0.9)
        held.append(low <= truth_value <= high)
    assert 0.84 <= np.mean(held) <= 0.95


def test_an_interval_is_that_of_resampling_the_faces() -> None:
    truth, predicted = draw_faces(np.random.default_rng(1))
    generator = np.random.default_rng(2)
    rows = [np.flatnonzero(truth == k) for k in range(3)]
    values = []
    for _ in range(2000):
        sample = np.concatenate([generator.choice(of_class, size=len(of_class)) for of_class in rows])
        values.append(metrics.uar(metrics.count_confusion(truth[sample], predicted[sample], 3)))
    interval = bootstrap_interval(truth, predicted, metrics.uar, seed=3, resamples=4000)
    assert interval == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=0.006)


def test_the_interval_of_accuracy_is_the_stratified_normal_one() -> None:
    truth, predicted = draw_faces(np.random.default_rng(4))
    recall = np.array([(predicted[truth == k] == k).mean() for k in range(3)])
    share = np.array(SUPPORT) / sum(SUPPORT)
    deviation = np.sqrt((share**2 * recall * (1 - recall) / np.array(SUPPORT)).sum())
    expected = stats.norm.interval(0.95, loc=(predicted == truth).mean(), scale=deviation)
    assert bootstrap_interval(truth, predicted, metrics.accuracy, seed=0, resamples=10_000) == pytest.approx(
        expected, abs=0.005
    )


def test_equal_seeds_give_equal_intervals() -> None:
    faces = draw_faces(np.random.default_rng(5))
    one, two, other = (bootstrap_interval(*faces, metrics.uar, seed=seed) for seed in (1, 1, 2))
    assert one == two != other


def test_a_perfect_score_and_a_single_face_have_no_width() -> None:
    truth = np.array([0, 4, 4])
    assert bootstrap_interval(truth, truth, metrics.uar, seed=0) == (1.0, 1.0)
    assert bootstrap_interval(np.array([2]), np.array([0]), metrics.accuracy, seed=0) == (0.0, 0.0)


def test_there_must_be_a_face() -> None:
    with pytest.raises(ValueError, match="no face"):
        bootstrap_interval(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), metrics.uar, seed=0)


def test_many_faces_are_resampled_fast() -> None:
    generator = np.random.default_rng(6)
    truth = generator.integers(8, size=20_000)
    predicted = np.where(generator.random(20_000) < 0.7, truth, generator.integers(8, size=20_000))
    start = time.process_time()
    bootstrap_interval(truth, predicted, metrics.uar, seed=0, resamples=10_000)
    assert time.process_time() - start < 5  # resampling the faces themselves takes longer than that


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
