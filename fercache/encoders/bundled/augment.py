"""Random changes to batches of training faces, on tensors."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

GREY = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)


def moved(faces: Tensor, mirrored: Tensor, size: int, zoom: tuple[float, float], generator: torch.Generator) -> Tensor:
    """(B, C, H, W) in [0, 1] -> (B, C, size, size): rotated, scaled, shifted, flipped where `mirrored` (B,) is true.

    A `zoom` below 1 shows less of the image.
    """
    count = len(faces)

    def spread(least: float, most: float) -> Tensor:
        return torch.empty(count).uniform_(least, most, generator=generator)

    angle, scale = spread(-math.radians(14), math.radians(14)), spread(*zoom)
    side = 1.0 - 2.0 * mirrored.float()
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    shift = torch.stack([spread(-0.1, 0.1), spread(-0.1, 0.1)], dim=1)
    rows = torch.stack([torch.stack([cosine * side, -sine], 1), torch.stack([sine * side, cosine], 1)], dim=1)
    grid = F.affine_grid(torch.cat([rows, shift[:, :, None]], dim=2), [count, 1, size, size], align_corners=False)
    return F.grid_sample(faces, grid, padding_mode="border", align_corners=False)


def relit(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Random contrast and brightness for each face."""
    contrast = torch.empty(len(faces), 1, 1, 1).uniform_(0.7, 1.4, generator=generator)
    brightness = torch.empty(len(faces), 1, 1, 1).uniform_(-0.15, 0.15, generator=generator)
    return (contrast * (faces - 0.5) + 0.5 + brightness).clamp_(0, 1)


def erased(faces: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Fills a box with the face's mean in the first `share` of the batch, which is in random order already."""
    size = faces.shape[-1]
    height, width = (int(n) for n in torch.randint(size // 8, size * 3 // 8, (2,), generator=generator))
    top, left = (int(torch.randint(0, size - n, (), generator=generator)) for n in (height, width))
    some = faces[: int(share * len(faces))]
    some[:, :, top : top + height, left : left + width] = some.mean(dim=(2, 3), keepdim=True)
    return faces


def like_photographs(faces: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Makes the last `share` of a batch of synthetic faces grey, coarse and noisy, like photographs."""
    start = len(faces) - int(share * len(faces))
    some = (faces[start:] * GREY).sum(dim=1, keepdim=True)
    coarse = F.interpolate(F.interpolate(some, scale_factor=0.6, mode="area"), size=faces.shape[-2:], mode="bilinear")
    noise = torch.empty_like(coarse).normal_(0.0, 1.0, generator=generator)
    strength = torch.empty(len(coarse), 1, 1, 1).uniform_(0.0, 0.06, generator=generator)
    faces[start:] = (coarse + strength * noise).clamp_(0, 1)
    return faces
