"""Paired tests against references, and what was planted."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from fercache.scoring import metrics
from fercache.scoring.comparison import (
    Runs,
    all_differences,
    difference,
    face_units,
    holm,
    mcnemar,
    target_units,
)
from tests.scoring.drawn_faces import SUPPORT, named
from tests.significance.simulated import Case, draw, rejected, rejected_over_targets, units_of

METRICS: tuple[Literal["accuracy"], Literal["mean_class_recall"]] = ("accuracy", "mean_class_recall")
TRUTH = np.repeat(np.arange(3), SUPPORT)


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


def drawn(generator: np.random.Generator, seeds: int, skill: float, truth: NDArray[np.int64] = TRUTH) -> Runs:
    return Runs((generator.random((seeds, len(truth))) < skill).astype(float))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("sd", [0, 2])
@pytest.mark.parametrize("seeds", [3, 5])
def test_identical_methods_are_rarely_called_different_whatever_the_seeds_do(
    metric: Literal["accuracy", "mean_class_recall"], sd: float, seeds: int
) -> None:
    """Without the variance between seeds, a standard deviation of two points has half of these called different."""
    size = rejected(Case(faces=1000, seeds=seeds, sd=sd, metric=metric), trials=300, seed=1)
    assert 0.01 <= size <= 0.08


@pytest.mark.parametrize("sd", [0, 2])
def test_a_seeded_method_is_rarely_better_than_a_fixed_one_that_is_as_good(sd: float) -> None:
    assert 0.01 <= rejected(Case(sd=sd, fixed=True, alike=False), trials=300, seed=2) <= 0.08


def test_rare_expressions_do_not_make_identical_methods_different() -> None:
    """Of 7 expressions in 100 faces, one has two faces, and one three: gains on them are often all equal."""
    for sd in (0, 2):
        assert rejected(Case(faces=100, sd=sd, metric="mean_class_recall", shares="rare"), trials=300, seed=3) <= 0.06


def test_two_faces_of_an_expression_that_are_read_alike_are_no_certainty() -> None:
    """Their gains have no variance of their own, but that of all the other faces."""
    truth = np.repeat([0, 1], [400, 2])
    gain = np.where(np.arange(402) % 2, 1.0, -1.0)
    gain[400:] = 1
    found = all_differences(
        [Runs(np.maximum(gain, 0)[None]), Runs(np.maximum(-gain, 0)[None])], face_units(truth, "mean_class_recall")
    )
    of_common, of_rare = 1 / 400 / 4, 2 / 3 / 2 / 4
    assert found.of_units[0, 1] == pytest.approx(of_common + of_rare, rel=0.02)
    assert 5 < found.df[0, 1] < 12


def test_faces_of_one_person_do_not_make_identical_methods_different() -> None:
    case, generator = Case(faces=400, alike=False, persons=True), np.random.default_rng(4)
    by_person, by_face = [], []
    for _ in range(300):
        a, b, both = draw(case, generator)
        by_person.append(difference(a, b, units_of(both)).p < 0.05)
        by_face.append(difference(a, b, face_units(both.truth, "accuracy")).p < 0.05)
    assert np.mean(by_person) <= 0.08 < np.mean(by_face)


def test_a_planted_difference_is_found_where_seeds_and_faces_allow_it() -> None:
    planted = Case(faces=1000, seeds=3, sd=1, gain=5, alike=False)
    assert rejected(planted, trials=150, seed=5) > 0.6
    assert rejected(replace(planted, seeds=5), trials=150, seed=5) > 0.9
    assert rejected(replace(planted, sd=0), trials=150, seed=5) > 0.8


def test_the_smallest_difference_that_could_be_seen_is_seen_in_four_of_five_experiments() -> None:
    generator = np.random.default_rng(6)
    a, b, both = draw(Case(alike=False), generator)
    smallest = difference(a, b, units_of(both)).smallest
    assert 0.7 < rejected(Case(gain=100 * smallest, alike=False), trials=300, seed=6) < 0.9


def test_targets_are_drawn_too() -> None:
    for targets, seeds, sd in ((3, 3, 0.0), (3, 5, 2.0), (6, 3, 1.0)):
        assert 0.01 <= rejected_over_targets(targets, seeds, sd, 0, trials=400, seed=7) <= 0.08
    assert rejected_over_targets(5, 5, 1, 5, trials=100, seed=8) > 0.9
    even = Runs(np.full((1, 4), 0.7)), Runs(np.full((1, 4), 0.6))  # the same gain everywhere, which faces may have made
    least = np.full((2, 2), 0.05**2)
    assert all_differences(even, target_units(4), least).between(0, 1).p == pytest.approx(0.139, abs=0.001)


def reference(a: NDArray[np.float64], b: NDArray[np.float64], truth: NDArray[np.int64]) -> tuple[float, float, float]:
    """Mean difference in recall, the variance of faces, and what seeds add, of plain sums."""
    gain, of_faces = a.mean(axis=0) - b.mean(axis=0), 0.0
    classes = np.unique(truth)
    for k in classes:
        of_faces += gain[truth == k].var(ddof=1) / (truth == k).sum() / len(classes) ** 2
    added = 0.0
    for runs in (a, b):
        recall = np.array([[row[truth == k].mean() for k in classes] for row in runs])
        both = 0.0
        for k in classes:
            there = runs[:, truth == k]
            left = there - there.mean(axis=0) - there.mean(axis=1, keepdims=True) + there.mean()
            square = (left**2).sum() / (len(runs) - 1) / (there.shape[1] - 1)
            both += square / there.shape[1] / len(classes) ** 2
        added += max(recall.mean(axis=1).var(ddof=1) - both, 0) / len(runs)
    return float(np.mean([gain[truth == k].mean() for k in classes])), of_faces, added


def test_the_variance_is_that_of_faces_and_seeds_less_what_both_count() -> None:
    """Faces are many, so that what small classes borrow is nothing."""
    truth = np.repeat(np.arange(3), [3000, 2000, 1000])
    generator = np.random.default_rng(9)
    skills = np.array([[0.7], [0.6], [0.66]]), np.array([[0.6], [0.65], [0.7], [0.62]])
    a, b = ((generator.random((len(skill), len(truth))) < skill).astype(float) for skill in skills)
    value, of_faces, added = reference(a, b, truth)
    found = all_differences([Runs(a), Runs(b)], face_units(truth, "mean_class_recall"))
    assert found.value[0, 1] == pytest.approx(value)
    assert found.of_units[0, 1] == pytest.approx(of_faces, rel=0.01)
    assert found.variance[0, 1] == pytest.approx(of_faces + added, rel=0.01)
    assert 2 < found.df[0, 1] < 10


@pytest.mark.parametrize("metric", METRICS)
def test_differences_are_those_of_the_scores_and_their_intervals_hold_the_truth(
    metric: Literal["accuracy", "mean_class_recall"],
) -> None:
    generator = np.random.default_rng(30)
    truth = np.repeat([0, 1, 4], SUPPORT)
    skill = np.array([0.3, 0.1, 0, 0, -0.1])
    of_class = {"accuracy": np.array(SUPPORT) / sum(SUPPORT), "mean_class_recall": np.full(3, 1 / 3)}[metric]
    expected, held = of_class @ skill[[0, 1, 4]], []
    for _ in range(200):
        ours = np.where(generator.random((3, 300)) < 0.5 + skill[truth], truth, 2)  # three seeds
        theirs = np.where(generator.random((3, 300)) < 0.5, truth, 2)
        units = face_units(truth, metric)
        found = difference(*(Runs((each == truth).astype(float)) for each in (ours, theirs)), units)
        scores = [
            np.mean([float(getattr(metrics, metric)(metrics.count_confusion(truth, each, 5))) for each in predicted])
            for predicted in (ours, theirs)
        ]
        assert found.value == pytest.approx(scores[0] - scores[1])
        held.append(found.low <= expected <= found.high)
    assert 0.92 <= np.mean(held) <= 0.995


def test_one_seed_says_something_about_trained_models_alone() -> None:
    generator = np.random.default_rng(10)
    one, three, other = drawn(generator, 1, 0.7), drawn(generator, 3, 0.7), drawn(generator, 3, 0.6)
    fixed, units = replace(one, seeded=False), face_units(TRUTH, "accuracy")
    about = {
        "trained models": [(one, three), (three, one), (one, one), (one, fixed)],
        "methods": [(three, other), (fixed, three), (three, fixed), (fixed, fixed)],
    }
    for expected, pairs in about.items():
        assert [difference(*pair, units).about for pair in pairs] == [expected] * len(pairs)
    apart = replace(three, values=np.vstack([np.ones((1, 300)), np.zeros((1, 300)), np.ones((1, 300))]))
    of_models, of_methods = difference(apart, one, units), difference(apart, fixed, units)
    assert of_models.value == of_methods.value
    assert of_models.df == pytest.approx(299) and of_methods.df < 3
    assert of_methods.high - of_methods.low > 3 * (of_models.high - of_models.low)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("subjects", [None, named(np.arange(300) % 40)])
def test_all_pairs_are_the_differences_of_each_pair(
    metric: Literal["accuracy", "mean_class_recall"], subjects: NDArray[np.object_] | None
) -> None:
    generator, units = np.random.default_rng(11), face_units(TRUTH, metric, subjects)
    methods = [drawn(generator, seeds, skill) for seeds, skill in ((3, 0.7), (5, 0.6), (1, 0.7), (2, 0.65))]
    methods[2] = replace(methods[2], seeded=False)
    every = all_differences(methods, units)
    for i, a in enumerate(methods):
        for j, b in enumerate(methods):
            there, alone = every.between(i, j), difference(a, b, units)
            assert there.about == alone.about
            for name in ("value", "low", "high", "p", "smallest"):
                assert getattr(there, name) == pytest.approx(getattr(alone, name), abs=1e-12)
            if i != j:
                assert 0 < there.p < 1 and every.between(j, i).value == -there.value


def test_methods_that_are_right_alike_do_not_differ_and_may_yet() -> None:
    truth = np.array([0, 0, 1, 1, 2])
    for subjects in (None, named(np.array([0, 0, 1, 1, 2]))):
        found = difference(
            Runs(np.ones((3, 5))), Runs(np.ones((3, 5))), face_units(truth, "mean_class_recall", subjects)
        )
        assert (found.value, found.p) == (0, 1) and found.low < 0 < found.high
    thirds = np.array([[0.1, 0.2, 0.3, 0.0]]), np.array([[0.2, 0.3, 0.1, 0.0]])  # nothing but rounding is left
    whole = difference(*map(Runs, thirds), face_units(np.arange(4), "accuracy"))
    assert whole.value == 0 and whole.p == 1


@pytest.mark.parametrize("faces", [1, 2, 5])
def test_a_handful_of_faces_says_little(faces: int) -> None:
    for metric in METRICS:
        units = face_units(np.arange(faces), metric)
        found = difference(Runs(np.ones((3, faces))), Runs(np.zeros((3, faces))), units)
        assert found.value == 1 and 0.001 < found.p < 1 and np.isfinite(found.smallest)


def test_faces_of_unknown_persons_are_each_their_own() -> None:
    generator = np.random.default_rng(12)
    a, b = drawn(generator, 3, 0.7), drawn(generator, 3, 0.6)
    unknown = np.full(300, "", dtype=object)
    by_person, by_face = (difference(a, b, face_units(TRUTH, "accuracy", each)) for each in (unknown, None))
    assert by_person.low == pytest.approx(by_face.low, abs=1e-3)


def test_nothing_to_measure_on_is_refused() -> None:
    with pytest.raises(ValueError, match="no face"):
        face_units(np.zeros(0, np.int64), "accuracy")
