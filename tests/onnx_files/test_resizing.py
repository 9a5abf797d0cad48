"""Resizing by plain products has the levels of PyTorch's kernels, whatever the sides."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fercache.onnx_files.resizing import CentreCrop, Resized

MODES = {True: "bicubic", False: "bilinear"}


@settings(max_examples=60, deadline=None)
@example(given_side=230, side=49, cubic=False, seed=1)
@given(st.integers(1, 260), st.integers(1, 130), st.booleans(), st.integers(0, 2**32 - 1))
def test_every_level_is_pytorchs(given_side: int, side: int, cubic: bool, seed: int) -> None:
    images = torch.from_numpy(
        np.random.default_rng(seed).integers(0, 256, (2, given_side, given_side, 3), dtype=np.uint8)
    )
    as_kernels = images.permute(0, 3, 1, 2)
    expected = as_kernels
    if given_side != side:  # one image at a time, as `preprocess`
        parts = [F.interpolate(one, (side, side), mode=MODES[cubic], antialias=True) for one in as_kernels.split(1)]
        expected = torch.cat(parts)
    away = (Resized(side, cubic=cubic)(images) - expected.float()).abs()
    if given_side <= 1.5 * side:
        assert not away.any()
    else:  # float32 has no more than 24 bits for the sums
        assert away.max() <= 1 and int((away > 0).sum()) <= max(2, away.numel() // 1_000)


@pytest.mark.parametrize(("given_side", "side"), [(10, 4), (9, 4), (8, 8)])
def test_the_centre_is_torchvisions(given_side: int, side: int) -> None:
    from torchvision.transforms.functional import center_crop

    image = torch.arange(given_side**2).view(1, 1, given_side, given_side)
    assert torch.equal(CentreCrop(given_side, side)(image), center_crop(image, [side, side]))
