"""Crops of found faces: properties that hold for every box, landmark and margin."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fercache.images.alignment import LEAST_SIDE, MOST_SIDE, TEMPLATE, Alignment, FoundFace, Points

Pixels = NDArray[np.uint8]

margins = st.floats(-0.2, 0.5)
places = st.floats(-200, 1200)
sides = st.floats(20, 800)


def placed(corner: tuple[float, float], side: float, turn: float) -> FoundFace:
    """A face whose landmarks are the template's, enlarged to `side`, turned by `turn` radians, at `corner`."""
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = TEMPLATE * side @ rotation.T + corner
    landmarks: Points = tuple((float(x), float(y)) for x, y in points)
    return FoundFace((0.0, 0.0, 1.0, 1.0), landmarks=landmarks)


def corners(square: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4, 2): where the corners of the unit square lie in the image, clockwise from the left top."""
    unit = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    return np.asarray(unit @ square[:, :2].T + square[:, 2])


@settings(deadline=None, max_examples=50)
@given(places, places, sides, sides, margins)
def test_the_square_of_a_box_has_its_middle_and_its_longer_side(
    left: float, top: float, width: float, height: float, margin: float
) -> None:
    face = FoundFace((left, top, left + width, top + height))
    found = corners(Alignment(margin).square(face))
    np.testing.assert_allclose(found.mean(0), (left + width / 2, top + height / 2), atol=1e-6)
    np.testing.assert_allclose(found[2] - found[0], max(width, height) * (1 + 2 * margin), rtol=1e-6)


@settings(deadline=None, max_examples=50)
@given(places, places, sides, st.floats(-np.pi, np.pi), margins)
def test_landmarks_land_on_the_template(x: float, y: float, side: float, turn: float, margin: float) -> None:
    face = placed((x, y), side, turn)
    square = Alignment(margin).square(face)
    places_in_square = np.linalg.solve(square[:, :2], (np.array(face.landmarks) - square[:, 2]).T).T
    np.testing.assert_allclose(places_in_square, (TEMPLATE + margin) / (1 + 2 * margin), atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(square[:, :2]), (side * (1 + 2 * margin)) ** 2, rtol=1e-6)


@settings(deadline=None, max_examples=50)
@given(places, places, sides, st.lists(st.floats(-9, 9), min_size=10, max_size=10))
def test_any_landmarks_give_a_square_that_is_not_mirrored(x: float, y: float, side: float, noise: list[float]) -> None:
    face = placed((x, y), side, 0.0)
    moved = np.array(face.landmarks) + np.reshape(noise, (5, 2))
    square = Alignment().square(FoundFace(face.box, landmarks=tuple((float(a), float(b)) for a, b in moved)))
    first, second = square[:, 0], square[:, 1]
    assert abs(first @ second) < 1e-6 * (first @ first) + 1e-9 and np.cross(first, second) > 0


@settings(deadline=None, max_examples=50)
@given(places, places, sides, st.floats(-300, 300), st.floats(-300, 300))
def test_a_face_that_moves_takes_its_square_along(x: float, y: float, side: float, right: float, down: float) -> None:
    moved = Alignment(0.1).square(placed((x + right, y + down), side, 0.3))
    shift = np.array([[0, 0, right], [0, 0, down]])
    np.testing.assert_allclose(moved, Alignment(0.1).square(placed((x, y), side, 0.3)) + shift, atol=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.floats(-400, 500), st.floats(-400, 500), st.floats(0.5, 1600), margins)
def test_a_crop_is_a_square_within_the_limits(left: float, top: float, side: float, margin: float) -> None:
    image = np.full((60, 90, 3), 200, np.uint8)
    before = image.copy()
    crop = Alignment(margin).crop(image, FoundFace((left, top, left + side, top + side)))
    expected = np.clip(round(side * (1 + 2 * margin)), LEAST_SIDE, MOST_SIDE)
    assert crop.shape == (expected, expected, 3) and crop.dtype == np.uint8
    assert np.array_equal(image, before)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 40), st.integers(0, 30), st.integers(LEAST_SIDE, 50))
def test_a_box_of_whole_pixels_is_cut_out_exactly(left: int, top: int, side: int) -> None:
    image = np.random.default_rng(side).integers(0, 256, (80, 90, 3)).astype(np.uint8)
    face = FoundFace((float(left), float(top), float(left + side), float(top + side)))
    assert np.array_equal(Alignment(0.0).crop(image, face), image[top : top + side, left : left + side])


def test_outside_of_the_photograph_is_black() -> None:
    crop = Alignment(0.0).crop(np.full((40, 40, 3), 255, np.uint8), FoundFace((-40.0, 0.0, 40.0, 80.0)))
    assert crop[:38, 42:].min() == 255 and crop[:, :38].max() == 0 and crop[42:].max() == 0


@pytest.mark.parametrize("degrees", [-40, 15, 90])
def test_a_turned_face_becomes_upright(degrees: float) -> None:
    """A face with white eyes: in the crop they are where the template has them."""
    face = placed((150.0, 120.0), 100.0, np.radians(degrees))
    image = np.zeros((400, 400, 3), np.uint8)
    for x, y in face.landmarks[:2]:
        image[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4] = 255
    crop = Alignment(0.0).crop(image, face)
    for x, y in TEMPLATE[:2]:
        assert crop[round(y * 100), round(x * 100)].min() > 200
    assert crop[60:].max() < 50


def test_the_identity_is_json_and_differs_with_the_margin() -> None:
    first, second = Alignment(0.1).identity(), Alignment(0.2).identity()
    assert json.loads(json.dumps(first)) == first != second


def test_the_side_of_a_face_is_the_longer_one() -> None:
    assert FoundFace((1.0, 2.0, 5.0, 10.0)).side == 8
