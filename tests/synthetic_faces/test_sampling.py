"""Which face stands where."""

from collections import Counter

import numpy as np
import pytest

from fercache.errors import UsageError
from fercache.synthetic_faces import DOMAINS, EXPRESSIONS, STYLES, Face, Identity, sample_face


def who(face: Face) -> Identity:
    return Identity(**{name: getattr(face, name) for name in Identity.__dataclass_fields__})


def test_the_same_place_holds_the_same_face() -> None:
    assert sample_face(1, 2, "night") == sample_face(1, 2, "night")


def test_expressions_are_balanced() -> None:
    counts = Counter(sample_face(0, index, "studio").expression for index in range(70))
    assert counts == dict.fromkeys(EXPRESSIONS, 10)


def test_a_person_keeps_its_identity_over_styles_and_expressions() -> None:
    shots = [sample_face(4, 9, style, expression) for style in DOMAINS for expression in ("fear", "anger")]
    assert len({who(face) for face in shots}) == 1
    assert len({face.noise_seed for face in shots}) == len(shots)


def test_seeds_share_no_identity() -> None:
    first, second = ({who(sample_face(seed, index, "studio")) for index in range(100)} for seed in (0, 1))
    assert len(first) == len(second) == 100
    assert not first & second


def test_poses_are_freer_outside_of_the_studio() -> None:
    turns = {s: np.std([sample_face(0, index, s).yaw for index in range(60)]) for s in ("studio", "webcam", "mono")}
    assert turns["studio"] * 2 < turns["webcam"] < turns["mono"]


@pytest.mark.parametrize(("style", "least", "most"), [("studio", 0.25, 0.7), ("mono", 0.55, 1.0)])
def test_intensities(style: str, least: float, most: float) -> None:
    faces = [sample_face(0, index, style) for index in range(70)]
    assert {face.intensity for face in faces if face.expression == "neutral"} == {0.0}
    shown = [face.intensity for face in faces if face.expression != "neutral"]
    assert least <= min(shown) < least + 0.1 and most - 0.1 < max(shown) <= most


def test_the_further_styles_are_none_of_the_domains() -> None:
    assert len(STYLES) >= 5
    assert not set(STYLES) & set(DOMAINS)


@pytest.mark.parametrize(("style", "expression", "message"), [("nihgt", None, "night"), ("night", "angr", "anger")])
def test_unknown_names_are_answered_with_the_nearest(style: str, expression: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=f"Did you mean '{message}'"):
        sample_face(0, 0, style, expression)
