"""Swapped labels are named, and correct ones never suspected."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from fercache.audits.label_permutation import Verdict, compare_labels
from fercache.expressions import EXPRESSIONS

SEVEN = EXPRESSIONS[:7]
DIMENSION = 32
CENTRES = np.random.default_rng(0).normal(size=(7, DIMENSION))

Labelled = tuple[NDArray[np.floating], NDArray[np.int64]]


def made_set(seed: int, per_class: int = 30, shown: int = 7) -> Labelled:
    """Noisy faces around the expressions' centres, moved and stretched as another camera would."""
    random = np.random.default_rng(seed)
    index = np.arange(shown).repeat(per_class)
    features = CENTRES[index] + 2 * random.normal(size=(len(index), DIMENSION))
    return 20 * random.normal(size=DIMENSION) + features * random.uniform(0.5, 2), index


def renamed(labelled: Labelled, names: dict[str, str]) -> Labelled:
    """The dataset with some expressions renamed."""
    position = np.array([SEVEN.index(names.get(name, name)) for name in SEVEN])
    return labelled[0], position[labelled[1]]


def verdict(left: Labelled, right: Labelled) -> Verdict:
    found = compare_labels(left, right, EXPRESSIONS)
    assert found is not None
    return found


@pytest.mark.parametrize("pair", combinations(SEVEN, 2), ids="-".join)
def test_every_swap_is_named_on_either_side(pair: tuple[str, str]) -> None:
    one, other = pair
    swapped = renamed(made_set(2), {one: other, other: one})
    for found in (verdict(made_set(1), swapped), verdict(swapped, made_set(1))):
        assert set(found.permuted) == {(one, other), (other, one)}
        assert found.swaps == (tuple(sorted(pair)),)
        assert found.margin > 0.1
        assert not found.agrees


def test_a_cycle_of_three_says_who_is_who() -> None:
    """Anger is filed under fear, fear under disgust, disgust under anger."""
    cycle = {"anger": "fear", "fear": "disgust", "disgust": "anger"}
    found = verdict(made_set(1), renamed(made_set(2), cycle))
    assert set(found.permuted) == {(name, true) for true, name in cycle.items()}
    assert found.swaps == ()


def test_correct_labels_are_silent_in_a_hundred_subsamples() -> None:
    left, right = made_set(3, per_class=40), made_set(4, per_class=40)
    random = np.random.default_rng(5)
    for _ in range(100):
        (one, its), (other, others) = (
            (features[rows], index[rows])
            for features, index in (left, right)
            for rows in [random.permutation(len(index))[: len(index) * 6 // 10]]
        )
        found = verdict((one, its), (other, others))
        assert found.permuted == ()
        assert found.swaps == ()


def test_labels_without_meaning_are_no_permutation() -> None:
    """The best assignment is another one by chance, and not sure."""
    features, index = made_set(6)
    found = verdict(made_set(1), (features, np.random.default_rng(7).permutation(index)))
    assert found.sure < 0.95
    assert found.permuted == ()
    assert not found.agrees
    assert any(name != other for name, other in found.assignment.items())


def test_agreeing_sets_have_no_margin() -> None:
    found = verdict(made_set(1), made_set(2))
    assert found.assignment == {name: name for name in SEVEN}
    assert found.margin == 0
    assert found.sure == 1
    assert found.agrees


def test_expressions_with_few_faces_are_left_out() -> None:
    features, index = made_set(8)
    keep = (index != SEVEN.index("fear")) | (np.cumsum(index == SEVEN.index("fear")) <= 4)
    found = verdict(made_set(1), (features[keep], index[keep]))
    assert set(found.assignment) == set(SEVEN) - {"fear"}
    assert found.permuted == ()


def test_too_few_shared_expressions_cannot_be_compared() -> None:
    assert compare_labels(made_set(1), made_set(2, shown=2), EXPRESSIONS) is None
    assert compare_labels(made_set(1), made_set(2, shown=3), EXPRESSIONS) is not None
    assert compare_labels(made_set(1), made_set(2, per_class=4), EXPRESSIONS) is None
    assert compare_labels(made_set(1), (np.empty((0, DIMENSION)), np.empty(0, np.int64)), EXPRESSIONS) is None


def test_the_same_seed_gives_the_same_verdict() -> None:
    left, right = made_set(1, per_class=6), made_set(9, per_class=6)
    assert compare_labels(left, right, EXPRESSIONS, seed=1) == compare_labels(left, right, EXPRESSIONS, seed=1)
