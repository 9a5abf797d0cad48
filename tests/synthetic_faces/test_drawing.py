"""The images: deterministic, different where they should be."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fercache.errors import UsageError
from fercache.synthetic_faces import DOMAINS, EXPRESSIONS, STYLES, ActionUnits, draw, sample_face

Faces = NDArray[np.float64]


def some(style: str, count: int = 28) -> Faces:
    return np.stack([draw(sample_face(3, index, style)) for index in range(count)]).astype(float)


@pytest.mark.parametrize("style", DOMAINS + STYLES)
def test_the_same_face_is_the_same_image(style: str) -> None:
    first = draw(sample_face(5, 11, style))
    assert first.shape == (96, 96, 3) and first.dtype == np.uint8
    assert first.tobytes() == draw(sample_face(5, 11, style)).tobytes()
    assert first.std() > 10


@pytest.mark.parametrize("size", [48, 100, 224])
def test_any_size(size: int) -> None:
    assert draw(sample_face(0, 0, "webcam"), size).shape == (size, size, 3)


@pytest.mark.parametrize("expression", [name for name in EXPRESSIONS if name != "neutral"])
def test_an_expression_changes_the_image_and_none_does_not(expression: str) -> None:
    face = sample_face(2, 8, "studio", expression)
    rest = replace(face, action_units=ActionUnits())
    assert np.array_equal(draw(rest), draw(replace(rest, expression="neutral", intensity=0.0)))
    changed = np.abs(draw(face).astype(int) - draw(rest)).mean(axis=2)
    assert (changed > 25).mean() > 0.02


def test_an_unknown_style_is_named() -> None:
    with pytest.raises(UsageError, match=r"no style 'stodio'.*studio"):
        draw(replace(sample_face(0, 0, "studio"), style="stodio"))


def colourfulness(faces: Faces) -> float:
    return float((faces.max(axis=3) - faces.min(axis=3)).mean())


def noisiness(faces: Faces) -> float:
    """Of the upper left corner, where the background is."""
    corner = faces[:, :14, :8].mean(axis=3)
    return float(np.median(np.abs(np.diff(corner, axis=2))))


def sharpness(faces: Faces) -> float:
    """The share of the finest differences in all differences."""
    grey = faces.mean(axis=3)
    return float(np.abs(np.diff(grey, axis=2)).mean() / np.abs(grey[:, :, 8:] - grey[:, :, :-8]).mean())


def sidedness(faces: Faces) -> float:
    grey = faces.mean(axis=3)
    return float(np.abs(grey[:, :, :48].mean((1, 2)) / grey[:, :, 48:].mean((1, 2)) - 1).mean())


@pytest.mark.parametrize(
    ("what", "smaller", "larger", "factor"),
    [
        (np.mean, "night", "studio", 2.5),
        (np.mean, "studio", "sketch", 1.1),
        (sharpness, "webcam", "studio", 1.2),
        (colourfulness, "webcam", "studio", 1.1),
        (sidedness, "studio", "night", 2.0),
        (noisiness, "studio", "sketch", 1.5),
    ],
)
def test_domains_are_apart(what: Callable[[Faces], float], smaller: str, larger: str, factor: float) -> None:
    assert factor * what(some(smaller)) < what(some(larger))


def test_sketches_are_grey_and_nights_blue() -> None:
    assert colourfulness(some("sketch", 7)) == 0
    red, _, blue = some("night", 7).mean(axis=(0, 1, 2))
    assert blue > 1.5 * red
