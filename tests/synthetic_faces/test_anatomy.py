"""Identities and action units."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.synthetic_faces.anatomy import (
    EXPRESSIONS,
    PROTOTYPES,
    ActionUnits,
    contract,
    generator,
    pick,
    sample_identity,
)


def test_every_expression_has_a_prototype() -> None:
    assert tuple(PROTOTYPES) == EXPRESSIONS


def test_prototypes_differ_between_expressions() -> None:
    prototypes = [prototype for options in PROTOTYPES.values() for prototype in options]
    assert len(set(prototypes)) == len(prototypes)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_no_intensity_is_a_face_at_rest(expression: str) -> None:
    assert contract(expression, 0.0, generator("rest", expression)) == ActionUnits()


@given(st.sampled_from([name for name in EXPRESSIONS if name != "neutral"]), st.floats(0.5, 1.0), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_contractions_stay_near_their_prototype(expression: str, intensity: float, seed: int) -> None:
    units = np.array(contract(expression, intensity, generator("contract", seed)))
    assert units.min() >= 0 and units.max() <= 1.1
    nearest = min(np.abs(units - intensity * np.array(prototype)).max() for prototype in PROTOTYPES[expression])
    assert nearest <= 0.25


def test_random_numbers_depend_on_the_whole_key() -> None:
    first = generator("a", 1, 2).random(4)
    assert np.array_equal(first, generator("a", 1, 2).random(4))
    assert not np.array_equal(first, generator("a", 12).random(4))


def test_pick_follows_its_weights() -> None:
    random = generator("pick")
    counts = [sum(pick(random, ("x", "y"), (3, 1)) == name for _ in range(2000)) for name in ("x", "y")]
    assert counts[0] / counts[1] == pytest.approx(3, rel=0.25)
    assert {pick(random, ("x", "y"), (0, 1)) for _ in range(50)} == {"y"}


def test_people_vary_and_dress_consistently() -> None:
    people = [sample_identity(generator("people", number)) for number in range(300)]
    assert len(set(people)) == len(people)
    assert {person.glasses for person in people} == {"none", "round", "square", "sunglasses"}
    assert {person.hair for person in people if person.beard != "none"} <= {"short", "side-parted", "curly", "bald"}
