"""Images resized by PyTorch's kernels are those of the library's own transform, up to two levels."""

from typing import Any

import numpy as np
import pytest
import timm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from fercache.encoders._resizing import kernels, on_pixels

LEVELS = 2
"""Of 255, by which a colour may differ from Pillow's."""

TRANSFORMS = {
    "open_clip": image_transform_v2(PreprocessCfg(size=64), is_train=False),
    "open_clip, squashed": image_transform_v2(PreprocessCfg(size=56, resize_mode="squash"), is_train=False),
    "open_clip, with borders": image_transform_v2(PreprocessCfg(size=56, resize_mode="longest"), is_train=False),
    "timm": timm.data.create_transform((3, 96, 96), interpolation="bicubic", crop_pct=0.9),
    "timm, bilinear": timm.data.create_transform((3, 224, 224), interpolation="bilinear", crop_pct=1.0),
}


def of_the_library(transform: Any, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    image = Image.fromarray(pixels)
    for step in transform.transforms[:-2]:
        image = step(image)
    return np.asarray(image, np.int64)


def width_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow cuts an image to 8 bits between its two passes, and since version 13 it takes some heights first."""
    resize = Image.Image.resize

    def one_by_one(image: Image.Image, size: tuple[int, int], *rest: Any, **more: Any) -> Image.Image:
        return resize(resize(image, (size[0], image.height), *rest, **more), size, *rest, **more)

    monkeypatch.setattr(Image.Image, "resize", one_by_one)


@pytest.mark.parametrize("name", TRANSFORMS)
@settings(max_examples=40, deadline=None)
@given(height=st.integers(20, 700), width=st.integers(20, 700), seed=st.integers(0, 999), harsh=st.booleans())
def test_images_are_the_librarys(name: str, height: int, width: int, seed: int, harsh: bool) -> None:
    transform, random = TRANSFORMS[name], np.random.default_rng(seed)
    pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if harsh:
        pixels = np.where(pixels > 127, 255, 0).astype(np.uint8)
    with pytest.MonkeyPatch.context() as monkeypatch:
        width_first(monkeypatch)
        ours, theirs = on_pixels(transform.transforms)(pixels), of_the_library(transform, pixels)
    assert ours.shape == theirs.shape and ours.dtype == np.uint8 and ours.flags["C_CONTIGUOUS"]
    assert np.abs(ours - theirs).max() <= LEVELS


def test_borders_are_left_to_pillow() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 90, 3), dtype=np.uint8)
    transform = TRANSFORMS["open_clip, with borders"]
    assert {name: kernels(each.transforms) for name, each in TRANSFORMS.items()} == {
        name: "pillow" if name == "open_clip, with borders" else "pytorch" for name in TRANSFORMS
    }
    assert np.array_equal(on_pixels(transform.transforms)(pixels), of_the_library(transform, pixels))


@pytest.mark.parametrize("side", [48, 100, 224, 1000, 3000])
def test_smooth_images_differ_by_one_level_at_most(side: int) -> None:
    """As photographs are; the bound of two is for noise that is enlarged."""
    ramp = np.linspace(0, 255, side)
    pixels = np.stack([np.add.outer(ramp, ramp) / 2, np.outer(ramp, ramp) / 255, np.tile(ramp, (side, 1))], axis=2)
    transform = TRANSFORMS["open_clip"]
    ours = on_pixels(transform.transforms)(pixels.astype(np.uint8))
    assert np.abs(ours - of_the_library(transform, pixels.astype(np.uint8))).max() <= 1
