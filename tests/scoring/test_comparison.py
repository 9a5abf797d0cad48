"""Paired tests against references, and what was planted."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from fercache.scoring import metrics
from fercache.scoring.comparison import holm, mcnemar, paired_difference
from tests.scoring.drawn_faces import SUPPORT, draw_persons, named


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
