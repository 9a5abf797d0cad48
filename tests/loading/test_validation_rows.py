"""The split of source validation, and folds."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.loading.validation_rows import split_folds, split_validation


def no_subjects(count: int) -> Any:
    return np.full(count, "", dtype=object)


def test_each_class_gives_its_share() -> None:
    index = np.repeat([0, 1, 2, -1], [100, 50, 9, 20])
    held_out = split_validation(index, no_subjects(len(index)), 0.1, seed=1)
    assert [int(held_out[index == k].sum()) for k in (0, 1, 2, -1)] == [10, 5, 1, 0]


@given(st.lists(st.integers(0, 5), min_size=2, max_size=120), st.integers(1, 12), st.integers(0, 9))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_subjects_are_held_out_whole(index: list[int], subjects: int, seed: int) -> None:
    classes = np.array(index)
    names = np.array([f"s{i % subjects}" for i in range(len(index))], dtype=object)
    held_out = split_validation(classes, names, 0.2, seed)
    assert 0 < held_out.sum() < len(index)
    if len(set(names)) > 1:
        assert not set(names[held_out]) & set(names[~held_out])


def test_subjects_are_chosen_so_that_classes_keep_their_shares() -> None:
    generator = np.random.default_rng(0)
    index = generator.integers(7, size=2800)
    subject = np.array([f"s{i}" for i in generator.integers(40, size=2800)], dtype=object)
    held_out = split_validation(index, subject, 0.1, seed=1)
    shares = np.bincount(index[held_out], minlength=7) / np.bincount(index, minlength=7)
    assert ((shares > 0.05) & (shares < 0.15)).all()


def test_unknown_subjects_are_split_by_rows_beside_known_ones() -> None:
    index = np.tile(np.arange(5), 40)
    subject = np.array([f"s{i // 10}" if i < 100 else "" for i in range(200)], dtype=object)
    held_out = split_validation(index, subject, 0.2, seed=1)
    assert not set(subject[:100][held_out[:100]]) & set(subject[:100][~held_out[:100]])
    assert np.bincount(index[held_out]).tolist() == [8] * 5


@pytest.mark.parametrize("change", [lambda seed: seed, lambda seed: seed + 1])
def test_the_split_depends_on_the_seed_alone(change: Callable[[int], int]) -> None:
    index = np.tile(np.arange(7), 100)
    one = split_validation(index, no_subjects(700), 0.1, seed=3)
    np.random.seed(12)
    two = split_validation(index, no_subjects(700), 0.1, seed=change(3))
    assert np.array_equal(one, two) == (change(3) == 3)


def test_too_few_rows_give_no_validation() -> None:
    assert not split_validation(np.array([0]), no_subjects(1), 0.5, seed=1).any()
    assert not split_validation(np.array([-1, -1]), no_subjects(2), 0.5, seed=1).any()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 20))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_folds_have_about_as_many_of_each_class_and_whole_subjects(index: list[int], subjects: int) -> None:
    classes, alone = np.array(index), no_subjects(len(index))
    folds = split_folds(classes, alone, 5)
    counts = np.array([np.bincount(folds[classes == k], minlength=5) for k in set(index)])
    assert set(folds) <= set(range(5)) and counts.max() - counts.min() <= len(index)
    assert (np.ptp(counts, axis=1) <= 2).all()
    names = np.array([f"s{i % subjects}" for i in range(len(index))], dtype=object)
    whole = split_folds(classes, names, 5)
    if subjects > 1:
        assert all(len(set(whole[names == name])) == 1 for name in set(names)) or len(set(names)) < 5
    assert np.array_equal(folds, split_folds(classes, alone, 5))
