"""Noise, light and compression."""

import numpy as np
import pytest

from fercache.synthetic_faces import finishes
from fercache.synthetic_faces.anatomy import generator


def test_grain_has_the_strength_asked_for() -> None:
    noise = finishes.grain(generator("grain"), (200, 200), 8.0)
    assert noise.std() == pytest.approx(8.0, rel=0.03)
    assert abs(noise.mean()) < 0.2


def test_light_comes_from_where_it_is_said_to() -> None:
    flat = np.full((32, 32, 3), 100.0, dtype=np.float32)
    right = finishes.lit(flat, (0.5, 0.0))
    above = finishes.lit(flat, (0.0, -0.3))
    assert right[:, -1].mean() > 140 > 60 > right[:, 0].mean()
    assert above[0].mean() > above[-1].mean()


def test_cosines_are_orthonormal() -> None:
    transform = finishes.cosines()
    assert transform @ transform.T == pytest.approx(np.eye(8), abs=1e-6)


@pytest.mark.parametrize("size", [40, 45])
def test_compression_loses_more_with_larger_steps(size: int) -> None:
    image = finishes.grain(generator("picture"), (size, size, 3), 30.0) + 128
    loss = [float(np.abs(finishes.compressed(image, step) - image).mean()) for step in (0.1, 20.0, 80.0)]
    assert loss[0] < 0.1 < loss[1] < loss[2]


def test_resizing_to_few_pixels_loses_detail() -> None:
    image = finishes.grain(generator("picture"), (96, 96, 3), 30.0) + 128
    small = finishes.resized(image, 24, finishes.Image.Resampling.BOX)
    assert small.shape == (24, 24, 3)
    assert small.std() < 0.5 * image.std()
