import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.scoring.label_design import draw, inclusion_probabilities, strata, worth_learning
from tests.few_labels.made import made_target

QUICK = settings(max_examples=40, deadline=None)


@QUICK
@given(st.integers(0, 100), st.integers(1, 60), st.integers(2, 8), st.integers(1, 3))
def test_probabilities_add_up_to_the_count_and_none_is_zero(seed: int, count: int, classes: int, runs: int) -> None:
    generator = np.random.default_rng(seed)
    posterior = generator.dirichlet(np.full(classes, 0.1), 50)
    answers = generator.integers(classes, size=(runs, 50))
    inclusion = inclusion_probabilities(posterior, answers, count)
    assert inclusion.sum() == pytest.approx(min(count, 50))
    assert (inclusion > 0).all() and (inclusion <= 1 + 1e-12).all()


def test_doubtful_and_rare_faces_are_more_likely() -> None:
    posterior = np.array([[0.98, 0.02]] * 90 + [[0.6, 0.4]] * 90 + [[0.02, 0.98]] * 20)
    inclusion = inclusion_probabilities(posterior, posterior.argmax(axis=1)[None], 50)
    certain, doubtful, rare = inclusion[0], inclusion[90], inclusion[-1]
    assert doubtful > 1.5 * certain and rare > certain


def test_faces_are_drawn_with_their_probabilities() -> None:
    known = made_target(0, faces=120)
    inclusion = inclusion_probabilities(known.posterior, known.answers, 30)
    stratum = strata(known.posterior.argmax(axis=1), known.posterior.max(axis=1))
    drawn = np.zeros(120)
    for seed in range(3000):
        rows = draw(inclusion, stratum, seed)
        assert len(set(rows)) == 30
        drawn[rows] += 1
    deviation = (drawn / 3000 - inclusion) / np.sqrt(inclusion * (1 - inclusion) / 3000)
    assert np.abs(deviation).max() < 4.5


def test_every_stratum_has_its_share() -> None:
    stratum = np.repeat([0, 3, 7], [100, 60, 40])
    counts = [np.bincount(stratum[draw(np.full(200, 0.25), stratum, seed)]) for seed in range(20)]
    assert {tuple(count[[0, 3, 7]]) for count in counts} == {(25, 15, 10)}


def test_the_first_labels_are_a_sample_as_well() -> None:
    stratum = np.repeat(np.arange(10), 20)
    first = [stratum[draw(np.full(200, 0.25), stratum, seed)[:10]].mean() for seed in range(300)]
    assert np.mean(first) == pytest.approx(4.5, abs=0.2)


def test_a_sample_follows_from_its_seed() -> None:
    inclusion, stratum = np.full(100, 0.2), np.zeros(100, dtype=np.int64)
    assert (draw(inclusion, stratum, 1) == draw(inclusion, stratum, 1)).all()
    assert (draw(inclusion, stratum, 1) != draw(inclusion, stratum, 2)).any()


@QUICK
@given(st.integers(0, 100), st.integers(1, 80))
def test_faces_to_learn_from_are_different_and_of_every_expression(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    posterior = generator.dirichlet(np.ones(4), 60)
    features = generator.normal(size=(60, 8)).astype(np.float16)
    rows = worth_learning(features, posterior, count, seed)
    assert len(rows) == len(set(rows)) == min(count, 60)
    available, chosen = (np.bincount(posterior[each].argmax(axis=1), minlength=4) for each in (slice(None), rows))
    left = chosen[chosen < available]
    assert left.max(initial=0) - left.min(initial=60) <= 1 and chosen.max() - left.min(initial=60) <= 1
    assert (rows == worth_learning(features, posterior, count, seed)).all()


def test_faces_to_learn_from_are_uncertain_and_diverse() -> None:
    generator = np.random.default_rng(0)
    place = np.repeat(np.arange(4), 30)
    features = np.eye(8)[place] + generator.normal(scale=0.01, size=(120, 8))
    posterior = np.tile([0.7, 0.3], (120, 1))
    assert sorted(place[worth_learning(features, posterior, 4, seed=0)]) == [0, 1, 2, 3]
    certain = np.arange(120) % 2 == 0
    posterior[certain] = [1, 0]
    features = generator.normal(size=(120, 8)) + 2 * certain[:, None] * np.eye(8)[0]
    assert certain[worth_learning(features, posterior, 12, seed=0)].mean() < 0.5
