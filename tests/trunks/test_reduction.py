"""From a trunk's width to the dimension of the features."""

import pytest
import torch
from torch import nn

from fercache.trunks import SlidingMean, to_dimension


def test_resnet_50s_channels_are_averaged_by_four() -> None:
    activation = torch.randn(3, 2048, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(SlidingMean(512)(activation), activation.view(3, 512, 4).mean(2))


def test_windows_slide_evenly_where_the_widths_do_not_divide() -> None:
    activation = torch.randn(2, 1280, generator=torch.Generator().manual_seed(0))
    reduced = SlidingMean(512)(activation)
    assert reduced.shape == (2, 512)
    for window in (0, 1, 2, 255, 511):
        first, last = window * 1280 // 512, -(-(window + 1) * 1280 // 512)
        assert last - first in (3, 4)  # 1280 / 512 = 2.5: two and a half channels, and those that they cut
        torch.testing.assert_close(reduced[:, window], activation[:, first:last].mean(1))
    constant = SlidingMean(512)(torch.ones(1, 1280))
    torch.testing.assert_close(constant, torch.ones(1, 512))


@pytest.mark.parametrize(
    ("width", "kind"), [(512, nn.Identity), (2048, SlidingMean), (513, SlidingMean), (96, nn.Linear)]
)
def test_what_brings_a_width_to_512(width: int, kind: type[nn.Module]) -> None:
    reduction = to_dimension(width, 512)
    assert type(reduction) is kind
    assert reduction(torch.randn(2, width)).shape == (2, 512)
    assert bool(list(reduction.parameters())) == (width < 512)
