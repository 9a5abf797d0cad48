"""Projection and painting."""

from dataclasses import replace

import numpy as np
import pytest

from fercache.synthetic_faces.anatomy import Face
from fercache.synthetic_faces.canvas import Canvas, blend
from fercache.synthetic_faces.geometry import curve, ellipse
from fercache.synthetic_faces.sampling import sample_face

WHITE, RED = (255, 255, 255), (255, 0, 0)


def frontal() -> Face:
    face = sample_face(0, 6, "studio", "neutral")
    return replace(face, yaw=0.0, pitch=0.0, roll=0.0, shift=(0.0, 0.0), zoom=1.0)


def centre_of_spot(face: Face, y: float = 0.0, lift: float = 0.0) -> tuple[float, float]:
    canvas = Canvas(face, 96, WHITE)
    canvas.fill(ellipse((0.0, y), (0.1, 0.1)), RED, lift)
    image, _ = canvas.paint()
    rows, columns = np.nonzero(image[..., 1] < 128)
    return float(columns.mean()), float(rows.mean())


def test_blend() -> None:
    assert blend((0, 0, 0), (100, 200, 50), 0.5) == (50, 100, 25)
    assert blend(WHITE, RED, 7.0) == RED


def test_a_turned_head_carries_its_features_along() -> None:
    x, y = centre_of_spot(frontal())
    assert x == pytest.approx(47.5, abs=0.6)
    right, _ = centre_of_spot(replace(frontal(), yaw=20.0))
    left, _ = centre_of_spot(replace(frontal(), yaw=-20.0))
    _, lower = centre_of_spot(replace(frontal(), pitch=15.0))
    assert right > x + 3 and left < x - 3 and lower > y + 3


def test_roll_shift_and_zoom() -> None:
    x, y = centre_of_spot(frontal(), y=-0.5)
    tilted, _ = centre_of_spot(replace(frontal(), roll=15.0), y=-0.5)
    assert tilted > x + 3
    assert centre_of_spot(replace(frontal(), shift=(0.1, -0.1)), y=-0.5) == pytest.approx((x + 4.8, y - 4.8), abs=0.6)
    assert centre_of_spot(replace(frontal(), zoom=0.8), y=-0.5)[1] > y + 3


def test_soft_shadows_are_apart_from_the_image() -> None:
    canvas = Canvas(frontal(), 96, WHITE)
    canvas.shade(ellipse((-0.4, 0.0), (0.2, 0.2)), 0.5)
    canvas.shade(ellipse((0.4, 0.0), (0.2, 0.2)), -0.5)
    canvas.shade_line(curve((-0.5, 0.7), (0.5, 0.7)), 0.5, 0.1)
    image, shadows = canvas.paint()
    assert (image == 255).all()
    assert shadows.shape == (96, 96)
    assert shadows[:, :40].min() < 0.6 and shadows[:, 60:].max() > 1.4


def test_a_stroke_is_thinner_at_its_ends() -> None:
    canvas = Canvas(frontal(), 96, WHITE)
    canvas.stroke(curve((-0.6, 0.0), (0.0, 0.0), (0.6, 0.0)), (0, 0, 0), 0.2)
    image, _ = canvas.paint()
    thickness = (255 - image[..., 0]).sum(axis=0) / 255
    inked = np.nonzero(thickness > 0.3)[0]
    assert thickness[inked].max() == pytest.approx(0.2 * 48 * 1.12, rel=0.2)
    assert thickness[inked[0]] < 0.4 * thickness.max() and thickness[inked[-1]] < 0.4 * thickness.max()
