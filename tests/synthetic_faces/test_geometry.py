"""What the action units move."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.synthetic_faces.anatomy import ActionUnits, Face
from fercache.synthetic_faces.geometry import brow, curve, eye, head_outline, mouth
from fercache.synthetic_faces.sampling import sample_face


def at_rest() -> Face:
    return replace(sample_face(0, 6, "studio", "neutral"), asymmetry=0.0, action_units=ActionUnits())


def moved(**units: float) -> Face:
    return replace(at_rest(), action_units=ActionUnits(**units))


def test_curve_goes_through_its_points() -> None:
    points = [(0.0, 0.0), (1.0, 2.0), (3.0, 1.0)]
    assert curve(*points)[[0, 4, 8]] == pytest.approx(np.array(points))
    assert curve(points[0], points[2])[4] == pytest.approx([1.5, 0.5])


def test_brows() -> None:
    rest = brow(at_rest(), 1)
    assert brow(moved(inner_brow_raiser=1), 1)[0, 1] < rest[0, 1] - 0.08
    assert brow(moved(outer_brow_raiser=1), 1)[-1, 1] < rest[-1, 1] - 0.05
    frown = brow(moved(brow_lowerer=1), 1)
    assert frown[0, 1] > rest[0, 1] + 0.05 and frown[0, 0] < rest[0, 0]
    assert brow(at_rest(), -1) == pytest.approx(rest * (-1, 1))


def test_lids() -> None:
    opening = eye(at_rest(), 1).opening
    assert eye(moved(upper_lid_raiser=1), 1).opening > 1.3 * opening
    for narrowing in ("lid_tightener", "cheek_raiser", "eyes_closed"):
        assert eye(moved(**{narrowing: 1.0}), 1).opening < 0.6 * opening


def test_an_open_eye_shows_its_iris_between_the_lids_only() -> None:
    one = eye(at_rest(), 1)
    x, y = one.iris_centre
    outline = one.between_lids(np.array([(x, y - 1.0), (x, y + 1.0)]))
    assert outline[1, 1] - outline[0, 1] == pytest.approx(one.opening, rel=0.1)


def test_mouth() -> None:
    rest = mouth(at_rest())
    smile, frown = mouth(moved(lip_corner_puller=1)), mouth(moved(lip_corner_depressor=1))
    assert smile.corners[0][1] < rest.corners[0][1] < frown.corners[0][1]
    assert smile.x[-1] > rest.x[-1]
    assert mouth(moved(lip_stretcher=1)).x[-1] > rest.x[-1] > mouth(moved(mouth_stretch=1)).x[-1]
    assert mouth(moved(mouth_stretch=1)).opening > mouth(moved(jaw_drop=1)).opening > 0.05 > rest.opening
    pressed = mouth(moved(lip_tightener=1, lip_pressor=1))
    assert (pressed.bottom - pressed.top).max() < 0.5 * (rest.bottom - rest.top).max()
    assert mouth(moved(upper_lip_raiser=1)).top.min() < rest.top.min() - 0.05


def test_a_dropped_jaw_lengthens_the_head() -> None:
    assert head_outline(moved(mouth_stretch=1))[:, 1].max() > head_outline(at_rest())[:, 1].max() + 0.1


@given(st.lists(st.floats(0, 1.1), min_size=len(ActionUnits()), max_size=len(ActionUnits())))
@settings(max_examples=50, deadline=None)
def test_any_contraction_keeps_lids_and_lips_in_order(units: list[float]) -> None:
    face = replace(at_rest(), action_units=ActionUnits(*units))
    lips, lids = mouth(face), eye(face, -1)
    assert (lips.top <= lips.upper).all() and (lips.upper <= lips.lower).all() and (lips.lower <= lips.bottom).all()
    assert (lids.upper <= lids.lower).all()
    assert (np.diff(lips.x) > 0).all()
