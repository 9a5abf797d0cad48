"""Intervals hold the truth as often as they say."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from fercache.scoring import metrics
from fercache.scoring.intervals import Metric, bootstrap_interval
from tests.scoring.drawn_faces import CONFUSION, SUPPORT, draw_faces, draw_persons, named


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
    names = np.array([f"person {k}" for k in generator.integers(2000, size=20_000)], dtype=object)
    for subjects in (None, names, np.full(20_000, "", dtype=object)):
        start = time.process_time()
        bootstrap_interval(truth, predicted, metrics.uar, seed=0, subjects=subjects, resamples=10_000)
        assert time.process_time() - start < 5  # resampling the faces themselves takes longer than that


def test_intervals_over_subjects_hold_the_truth_where_faces_of_a_person_are_alike() -> None:
    generator = np.random.default_rng(20)
    by_subject, by_face = [], []
    for seed in range(200):
        truth, predicted, person = draw_persons(generator)
        for held, subjects in ((by_subject, named(person)), (by_face, None)):
            low, high = bootstrap_interval(
                truth, predicted, metrics.accuracy, seed=seed, subjects=subjects, resamples=300, level=0.9
            )
            held.append(low <= 0.6 <= high)
    assert 0.83 <= np.mean(by_subject) <= 0.96
    assert np.mean(by_face) < 0.8  # faces of a person are counted as if they were several persons'


def test_an_interval_over_subjects_is_that_of_drawing_them() -> None:
    truth, predicted, person = draw_persons(np.random.default_rng(21), persons=15)
    generator, values = np.random.default_rng(22), []
    for _ in range(3000):
        sample = np.concatenate([np.flatnonzero(person == k) for k in generator.integers(15, size=15)])
        values.append(metrics.uar(metrics.count_confusion(truth[sample], predicted[sample], 3)))
    interval = bootstrap_interval(truth, predicted, metrics.uar, seed=3, subjects=named(person), resamples=6000)
    assert interval == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=0.01)


def test_faces_without_a_subject_are_each_their_own() -> None:
    truth, predicted = draw_faces(np.random.default_rng(23))
    nobody, everybody = np.full(300, "", dtype=object), named(np.arange(300))
    half = np.where(np.arange(300) < 150, everybody, "")
    expected = stats.norm.interval(0.95, loc=(hit := (predicted == truth).mean()), scale=np.sqrt(hit * (1 - hit) / 300))
    for subjects in (nobody, everybody, half):
        interval = bootstrap_interval(truth, predicted, metrics.accuracy, seed=0, subjects=subjects, resamples=6000)
        assert interval == pytest.approx(expected, abs=0.006)


def test_a_class_may_be_missing_from_a_resample_of_subjects() -> None:
    truth, person = np.array([0, 0, 0, 1]), np.array([0, 1, 2, 3])
    low, high = bootstrap_interval(truth, np.zeros(4, dtype=np.int64), metrics.uar, seed=0, subjects=named(person))
    assert (low, high) == (0.5, 1.0)
