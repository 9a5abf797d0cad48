"""An encoder's resizing in operations that ONNX has, with the same levels as PyTorch's kernels for 8-bit images.

ONNX has an operation of its own, but the kernels of onnxruntime round differently, and not every runtime has them.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from fercache.encoders import NetworkEncoder
from fercache.runtime.vision_libraries import torchvision

MOST_BITS = 22
MOST_WEIGHT = 2**15
"""The kernels' weights are integers of 16 bits with a common power of two, as fine as fits."""


class Levels(nn.Module):
    """(N, S, S, 3) uint8 -> (N, 3, S, S) float, 0 to 255."""

    def forward(self, faces: Tensor) -> Tensor:
        """See the class."""
        return faces.permute(0, 3, 1, 2).float()


class Resized(nn.Module):
    """(N, S, S, 3) uint8 of any S -> (N, 3, R, R) float of whole numbers, 0 to 255: antialiased, as PyTorch resizes.

    Exact up to S of 1.5 R. Beyond, a sum in float32 may round one level away: 2 in 10,000 values at S of 1024.
    """

    def __init__(self, side: int, *, cubic: bool) -> None:
        super().__init__()
        self.side, self.cubic = side, cubic

    def forward(self, faces: Tensor) -> Tensor:
        """See the class: columns first, then rows, each rounded to whole levels."""
        weights, scale = self.weights(faces.shape[1])
        narrow = _rounded(faces.permute(0, 3, 1, 2).float() @ weights.T, scale)
        return _rounded(weights @ narrow, scale)

    def weights(self, given: int) -> tuple[Tensor, Tensor]:
        """(R, S) whole numbers for an image of side `given` S, and what they are multiples of (1,), a power of two.

        No tensor here is without a dimension: the exporter would compute it in float32.
        """
        places = torch.arange(given, dtype=torch.float64) + 0.5
        scale = (places[-1:] + 0.5) / self.side  # S / R: from the number S, it would be a constant in the file
        centres = (torch.arange(self.side, dtype=torch.float64) + 0.5) * scale
        distance = ((places[None] - centres[:, None]) / scale.clamp_min(1)).abs()
        weights = _cubic(distance) if self.cubic else (1 - distance).clamp_min(0)
        weights = weights / weights.sum(dim=1, keepdim=True)
        powers = 2.0 ** torch.arange(1, MOST_BITS + 1, dtype=torch.float64)
        fitting = torch.floor(weights.amax(dim=(0, 1), keepdim=True)[0] * powers + 0.5) < MOST_WEIGHT
        one = 2.0 ** fitting.double().sum(dim=0, keepdim=True)
        whole = torch.floor(weights.abs() * one + 0.5) * torch.sign(weights)
        return whole.float(), one.float()


class CentreCrop(nn.Module):
    """(N, C, R, R) -> (N, C, S, S), S <= R."""

    def __init__(self, given: int, side: int) -> None:
        super().__init__()
        self.begin, self.side = round((given - side) / 2), side

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        end = self.begin + self.side
        return images[:, :, self.begin : end, self.begin : end]


def resizing(encoder: NetworkEncoder, side: int) -> nn.Module | None:
    """The encoder's `preprocess` of square images to `side`, as a module; None if a step is not known here."""
    steps = list(encoder.steps(side))
    if not steps or not encoder.resizes_by_pytorch(side):
        return None
    first, *others = steps
    if not isinstance(first, torchvision.transforms.Resize):
        return None
    size = first.size if isinstance(first.size, int) else first.size[0]
    cubic = first.interpolation == torchvision.transforms.InterpolationMode.BICUBIC
    parts: list[nn.Module] = [Resized(size, cubic=cubic)]
    for step in others:
        (crop, _) = cast(Sequence[int], step.size)
        if not isinstance(step, torchvision.transforms.CenterCrop) or crop > size:
            return None
        parts, size = [*parts, CentreCrop(size, crop)], crop
    return nn.Sequential(*parts)


def _cubic(distance: Tensor) -> Tensor:
    """Keys' kernel with a = -0.5, for distances >= 0."""
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, torch.zeros_like(distance)))


def _rounded(sums: Tensor, one: Tensor) -> Tensor:
    return torch.floor(sums / one + 0.5).clamp(0, 255)
