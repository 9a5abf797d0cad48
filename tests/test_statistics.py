"""Intervals, calibration, abstention and tests: against references, plain loops, and what was planted."""

import time
from itertools import combinations
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special, stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from fercache import metrics
from fercache.statistics import (
    Metric,
    bootstrap_interval,
    calibration,
    holm,
    label_shuffle_test,
    mcnemar,
    paired_difference,
    probabilities,
    risk_coverage,
)

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
    names = np.array([f"person {k}" for k in generator.integers(2000, size=20_000)], dtype=object)
    for subjects in (None, names, np.full(20_000, "", dtype=object)):
        start = time.process_time()
        bootstrap_interval(truth, predicted, metrics.uar, seed=0, subjects=subjects, resamples=10_000)
        assert time.process_time() - start < 5  # resampling the faces themselves takes longer than that


def draw_persons(generator: np.random.Generator, persons: int = 60) -> tuple[NDArray[np.int64], ...]:
    """Truth, prediction and person of faces: whoever is hard to read is so on all of some ten faces."""
    person = np.repeat(np.arange(persons), generator.integers(5, 16, size=persons))
    hit = generator.beta(3, 2, size=persons)[person]
    truth = generator.integers(3, size=len(person))
    wrong = (truth + generator.integers(1, 3, size=len(person))) % 3
    return truth, np.where(generator.random(len(person)) < hit, truth, wrong), person


def named(person: NDArray[np.int64]) -> NDArray[np.object_]:
    return np.array([f"p{k}" for k in person], dtype=object)


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


LOGITS = st.lists(st.lists(st.floats(-30, 30, width=32), min_size=4, max_size=4), min_size=1, max_size=40)


def drawn_probabilities(seed: int, faces: int = 400) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """With 5 classes, and a truth that follows the probabilities: these are calibrated."""
    generator = np.random.default_rng(seed)
    likely = generator.dirichlet(np.full(5, 0.4), size=faces)
    return likely, (generator.random((faces, 1)) > likely.cumsum(axis=1)[:, :-1]).sum(axis=1)


def test_calibration_is_that_of_a_plain_loop() -> None:
    likely, truth = drawn_probabilities(24)
    found = calibration(likely, truth, bins=10)
    ece = 0.0
    for k in range(10):
        inside = [(p.max(), p.argmax() == y) for p, y in zip(likely, truth, strict=True) if k < 10 * p.max() <= k + 1]
        assert found.faces[k] == len(inside)
        if inside:
            confident, right = np.mean(inside, axis=0)
            assert (found.confidence[k], found.accuracy[k]) == pytest.approx((confident, right))
            ece += len(inside) / len(truth) * abs(confident - right)
        else:
            assert found.confidence[k] is found.accuracy[k] is None
    assert found.ece == pytest.approx(ece)


def test_calibrated_probabilities_have_a_small_error_and_sharpened_ones_a_large_one() -> None:
    likely, truth = drawn_probabilities(25, faces=20_000)
    sharp = likely**3 / (likely**3).sum(axis=1, keepdims=True)
    assert calibration(likely, truth).ece < 0.02 < 0.1 < calibration(sharp, truth).ece
    certain = np.eye(5)[truth]
    assert calibration(certain, truth).ece == 0
    assert calibration(certain, (truth + 1) % 5).ece == 1
    assert calibration(certain, truth).faces == (0,) * 14 + (20_000,)


def test_a_bin_holds_its_upper_edge() -> None:
    likely = np.array([[0.5, 0.5], [0.75, 0.25], [0.76, 0.24], [1, 0]])
    assert calibration(likely, np.zeros(4, dtype=np.int64), bins=4).faces == (0, 1, 1, 2)


def test_risk_is_that_of_the_most_confident_faces() -> None:
    likely, truth = drawn_probabilities(26)
    found = risk_coverage(likely, truth, points=8)
    order = sorted(range(400), key=lambda i: -likely[i].max())
    wrong = [likely[i].argmax() != truth[i] for i in order]
    risks = [np.mean(wrong[:n]) for n in range(1, 401)]
    assert found.coverage == tuple(n / 8 for n in range(1, 9))
    assert found.risk == pytest.approx([risks[50 * n - 1] for n in range(1, 9)])
    assert found.area == pytest.approx(np.mean(risks))
    assert found.risk[0] < found.risk[-1] == pytest.approx((likely.argmax(axis=1) != truth).mean())


def test_fewer_faces_than_points_are_covered_one_by_one() -> None:
    likely, truth = np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1])
    assert risk_coverage(likely, truth, points=4).risk == (0, 0, 0.5, 0.5)


def test_equal_confidence_shares_its_risk_whatever_the_order_of_the_faces() -> None:
    generator = np.random.default_rng(27)
    confidence = generator.choice([0.6, 0.7, 0.8], size=100)
    likely, truth = np.stack([confidence, 1 - confidence], axis=1), generator.integers(2, size=100)
    found = risk_coverage(likely, truth)
    for _ in range(20):
        order = generator.permutation(100)
        assert risk_coverage(likely[order], truth[order]) == found
    alike = risk_coverage(np.full((100, 2), 0.5), np.repeat([0, 1], [75, 25]))
    assert alike.risk == (0.25,) * 20 and alike.area == 0.25


@given(LOGITS, st.lists(st.booleans(), min_size=4, max_size=4).filter(any), st.integers(1, 30))
@settings(max_examples=150, deadline=None)
def test_any_logits_give_probabilities_and_measures_within_bounds(
    logits: list[list[float]], known: list[bool], parts: int
) -> None:
    mask = np.array(known)
    likely = probabilities(np.array(logits, dtype=np.float32), mask)
    assert likely.dtype == np.float64 and not likely[:, ~mask].any()
    assert likely[:, mask] == pytest.approx(special.softmax(np.array(logits)[:, mask], axis=1), abs=1e-12)
    truth = np.arange(len(logits)) % 4
    calibrated, abstained = calibration(likely, truth, bins=parts), risk_coverage(likely, truth, points=parts)
    assert sum(calibrated.faces) == len(logits) and len(calibrated.faces) == parts
    assert 0 <= calibrated.ece <= 1 and 0 <= abstained.area <= 1
    assert all(0 <= each <= 1 for each in (*abstained.risk, *filter(None, calibrated.confidence)))
    right = likely.argmax(axis=1) == truth
    assert abstained.risk[-1] == pytest.approx(1 - right.mean())


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_logits_must_be_finite_and_an_expression_known(broken: float) -> None:
    logits = np.zeros((3, 2))
    with pytest.raises(ValueError, match="found none"):
        probabilities(logits, np.zeros(2, dtype=bool))
    logits[1, 0] = broken
    with pytest.raises(ValueError, match="those of 1 of 3 faces are not"):
        probabilities(logits, np.ones(2, dtype=bool))


def test_large_logits_do_not_overflow() -> None:
    assert probabilities(np.array([[1e4, -1e4, 9e3]]), np.ones(3, dtype=bool)).tolist() == [[1, 0, 0]]


def test_measures_need_a_face() -> None:
    none, empty = np.zeros(0, dtype=np.int64), np.zeros((0, 3))
    for measure in (calibration, risk_coverage):
        with pytest.raises(ValueError, match="no face"):
            measure(empty, none)
    with pytest.raises(ValueError, match="no face"):
        paired_difference(np.zeros(0), none, "uar", seed=0)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=80))
@settings(deadline=None)
def test_mcnemar_is_the_reference(pairs: list[tuple[bool, bool]]) -> None:
    right_a, right_b = np.array(pairs, dtype=bool).reshape(-1, 2).T
    table = [[np.sum(right_a & right_b), np.sum(right_a & ~right_b)], [np.sum(~right_a & right_b), 0]]
    assert mcnemar(right_a, right_b) == mcnemar(right_b, right_a)
    if (right_a != right_b).any():
        assert mcnemar(right_a, right_b) == pytest.approx(reference_mcnemar(table, exact=True).pvalue)
    else:
        assert mcnemar(right_a, right_b) == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(max_examples=10, deadline=None)  # the reference collects garbage at every call
def test_holm_is_the_reference_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert adjusted == pytest.approx(multipletests(p_values, method="holm")[1])
    assert all(p <= corrected <= 1 for p, corrected in zip(p_values, adjusted, strict=True))
    by_p = [adjusted[i] for i in np.argsort(p_values, kind="stable")]
    assert by_p == sorted(by_p)


def test_holm_of_nothing_is_nothing() -> None:
    assert holm([]) == ()
    assert holm([0.03, 0.01, 0.04]) == pytest.approx((0.06, 0.03, 0.06))


def draw_right(
    generator: np.random.Generator, truth: NDArray[np.int64], skill: tuple[float, float, float]
) -> NDArray[np.bool_]:
    return generator.random(len(truth)) < np.array(skill)[truth]


def test_equal_methods_are_rarely_called_different() -> None:
    generator, truth = np.random.default_rng(28), np.repeat(np.arange(3), SUPPORT)
    exact, bootstrapped = [], []
    for seed in range(1000):
        a, b = (draw_right(generator, truth, (0.8, 0.5, 0.7)) for _ in range(2))
        exact.append(mcnemar(a, b))
        bootstrapped.append(paired_difference(a * 1.0 - b, truth, "uar", seed=seed, resamples=400).p)
    assert np.mean(np.array(exact) < 0.05) <= 0.05  # an exact test keeps its level
    # A bootstrap does so but nearly: 5 %, and three standard errors of 1,000 trials to either side.
    assert 0.03 <= np.mean(np.array(bootstrapped) < 0.05) <= 0.07
    assert np.mean(bootstrapped) == pytest.approx(0.5, abs=0.05)


def test_a_planted_difference_is_found() -> None:
    generator, truth = np.random.default_rng(29), np.repeat(np.arange(3), SUPPORT)
    a, b = draw_right(generator, truth, (0.8, 0.7, 0.8)), draw_right(generator, truth, (0.7, 0.5, 0.6))
    found = paired_difference(a * 1.0 - b, truth, "uar", seed=0)
    assert found.p < 0.001 and mcnemar(a, b) < 0.001
    assert 0 < found.low < found.value < found.high
    assert found.low < 0.5 / 3 < found.high
    backwards = paired_difference(b * 1.0 - a, truth, "uar", seed=0)
    assert backwards.value == -found.value and backwards.p < 0.001 and backwards.high < 0


@pytest.mark.parametrize("metric", ["accuracy", "uar"])
def test_differences_are_those_of_the_scores_whose_interval_holds_the_truth(metric: Literal["accuracy", "uar"]) -> None:
    generator, truth = np.random.default_rng(30), np.repeat([0, 1, 4], SUPPORT)
    skill = np.array([0.3, 0.1, 0, 0, -0.1])
    of_class = {"accuracy": np.array(SUPPORT) / sum(SUPPORT), "uar": np.full(3, 1 / 3)}[metric]
    expected, held = of_class @ skill[[0, 1, 4]], []
    for seed in range(200):
        ours = np.where(generator.random((3, 300)) < 0.5 + skill[truth], truth, 2)  # three seeds
        theirs = np.where(generator.random((3, 300)) < 0.5, truth, 2)
        gain = (ours == truth).mean(axis=0) - (theirs == truth).mean(axis=0)
        found = paired_difference(gain, truth, metric, seed=seed, resamples=300, level=0.9)
        scores = [
            np.mean([float(getattr(metrics, metric)(metrics.count_confusion(truth, each, 5))) for each in predicted])
            for predicted in (ours, theirs)
        ]
        assert found.value == pytest.approx(scores[0] - scores[1])
        held.append(found.low <= expected <= found.high)
    assert 0.84 <= np.mean(held) <= 0.95


@pytest.mark.parametrize("metric", ["accuracy", "uar"])
def test_a_difference_over_subjects_is_that_of_drawing_them(metric: Literal["accuracy", "uar"]) -> None:
    truth, predicted, person = draw_persons(np.random.default_rng(31), persons=12)
    truth[person == 0] = 7  # an expression that nobody else shows, so that a third of the samples lack it
    gain = (predicted == truth) * 1.0 - np.random.default_rng(32).integers(2, size=len(truth))
    generator, values = np.random.default_rng(33), []
    for _ in range(3000):
        sample = np.concatenate([np.flatnonzero(person == k) for k in generator.integers(12, size=12)])
        by_class = [gain[sample][truth[sample] == k].mean() for k in np.unique(truth[sample])]
        values.append(gain[sample].mean() if metric == "accuracy" else np.mean(by_class))
    found = paired_difference(gain, truth, metric, seed=0, subjects=named(person))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=0.015)
    assert found.p == pytest.approx(2 * min(np.mean(np.array(values) <= 0), np.mean(np.array(values) >= 0)), abs=0.03)


def test_methods_that_are_right_alike_do_not_differ() -> None:
    truth = np.array([0, 0, 1, 1, 2])
    for subjects in (None, named(np.array([0, 0, 1, 1, 2]))):
        found = paired_difference(np.zeros(5), truth, "uar", seed=0, subjects=subjects)
        assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)
    tenths = np.array([0.1, 0.1, 0.1, -0.3])  # nothing but rounding is left of their sum
    whole = paired_difference(tenths, np.arange(4), "accuracy", seed=0)
    assert whole.value == pytest.approx(0) and whole.p == 1


def test_a_gain_on_every_face_has_the_least_p_that_the_resamples_allow() -> None:
    found = paired_difference(np.ones(30), np.arange(30) % 3, "accuracy", seed=0, resamples=999)
    assert (found.value, found.low, found.high, found.p) == (1, 1, 1, 2 / 1000)


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
