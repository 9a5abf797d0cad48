"""Random changes to batches of training faces, on tensors (B, C, S, S) in [0, 1].

A batch is in random order already, so a change of some faces is a change of the first or the last ones.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from fercache.synthetic_faces.finishes import cosines

GREY = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
BLOCK = 8  # pixels, of JPEG


def spread(count: int, limits: tuple[float, float], generator: torch.Generator) -> Tensor:
    """One uniform number for each face, (B, 1, 1, 1)."""
    return torch.empty(count, 1, 1, 1).uniform_(*limits, generator=generator)


def between(limits: tuple[float, float], generator: torch.Generator) -> float:
    """One uniform number for a whole batch."""
    return float(spread(1, limits, generator))


def moved(
    faces: Tensor, mirrored: Tensor, size: int, generator: torch.Generator, *, zoom: tuple[float, float], degrees: float
) -> Tensor:
    """(B, C, H, W) -> (B, C, size, size): rotated, scaled, shifted, flipped where `mirrored` (B,) is true.

    A `zoom` below 1 shows less of the image; above 1, a margin: the image's edge for one half, a plain grey for the
    other.
    """
    count = len(faces)
    limit = math.radians(degrees)
    angle, scale = spread(count, (-limit, limit), generator).view(-1), spread(count, zoom, generator).view(-1)
    side = 1.0 - 2.0 * mirrored.float()
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    shift = torch.empty(count, 2).uniform_(-0.1, 0.1, generator=generator)
    rows = torch.stack([torch.stack([cosine * side, -sine], 1), torch.stack([sine * side, cosine], 1)], dim=1)
    grid = F.affine_grid(torch.cat([rows, shift[:, :, None]], dim=2), [count, 1, size, size], align_corners=False)
    result = F.grid_sample(faces, grid, padding_mode="border", align_corners=False)
    outside = (grid.abs().amax(dim=3) > 1.0)[: count // 2, None]
    level = spread(count // 2, (0.0, 1.0), generator)
    result[: count // 2] = torch.where(outside, level, result[: count // 2])
    return result


def relit(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Random light from one side, gamma, contrast and brightness for each face."""
    count, size = len(faces), faces.shape[-1]
    place = torch.linspace(-1.0, 1.0, size)
    across, down = spread(count, (-0.4, 0.4), generator), spread(count, (-0.25, 0.25), generator)
    light = 1.0 + across * place.view(1, 1, 1, size) + down * place.view(1, 1, size, 1)
    gamma = spread(count, (-0.4, 0.5), generator).exp()
    contrast, brightness = spread(count, (0.6, 1.4), generator), spread(count, (-0.12, 0.12), generator)
    curved = (faces * light).clamp_(1e-3, 1.0).pow(gamma)
    mean = curved.mean(dim=(1, 2, 3), keepdim=True)
    return (contrast * (curved - mean) + mean + brightness).clamp_(0, 1)


def degraded(faces: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Lowers the quality of the last `share` of the batch: few pixels, blur, noise and JPEG, each for a half of it."""
    count, size = len(faces), faces.shape[-1]
    some = faces[count - int(share * count) :]
    half, quarter = len(some) // 2, len(some) // 4
    few = round(size * between((0.45, 0.85), generator))
    coarse = F.interpolate(some[:half], size=(few, few), mode="area")
    some[:half] = F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
    some[quarter : quarter + half] = blurred(some[quarter : quarter + half], between((0.3, 0.9), generator))
    noise = torch.empty_like(some[half:]).normal_(0.0, 1.0, generator=generator)
    some[half:] += spread(len(some) - half, (0.0, 0.07), generator) * noise
    ends = torch.cat([torch.arange(quarter), torch.arange(len(some) - quarter, len(some))])
    some[ends] = compressed(some[ends].clamp(0, 1), between((0.05, 0.2), generator))
    some.clamp_(0, 1)
    return faces


def blurred(faces: Tensor, deviation: float) -> Tensor:
    """Convolved with a Gaussian of this standard deviation, in pixels."""
    place = torch.arange(-2, 3).float()
    kernel = (-(place**2) / (2 * deviation**2)).exp()
    kernel = (kernel / kernel.sum()).repeat(faces.shape[1], 1)
    across = F.conv2d(F.pad(faces, (2, 2, 0, 0), mode="replicate"), kernel[:, None, None, :], groups=faces.shape[1])
    return F.conv2d(F.pad(across, (0, 0, 2, 2), mode="replicate"), kernel[:, None, :, None], groups=faces.shape[1])


def compressed(faces: Tensor, step: float) -> Tensor:
    """Quantised 8 x 8 cosine blocks, as in JPEG; `step` is that of the finest frequency. S is a multiple of 8."""
    count, channels, size, _ = faces.shape
    side, transform, order = size // BLOCK, torch.from_numpy(cosines()), torch.arange(BLOCK)
    blocks = faces.reshape(count, channels, side, BLOCK, side, BLOCK).transpose(3, 4)
    steps = step * (0.2 + 0.8 * (order[:, None] + order[None, :]) / (2 * BLOCK - 2))
    frequencies = (transform @ blocks @ transform.T / steps).round() * steps
    return (transform.T @ frequencies @ transform).transpose(3, 4).reshape(faces.shape)


def tinted(faces: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """(B, 1 or 3, S, S) -> (B, 3, S, S): the first `share` gets a gain and a gamma for each channel."""
    result = faces.expand(-1, 3, -1, -1).clone()
    count = int(share * len(faces))
    gain = torch.empty(count, 3, 1, 1).uniform_(0.8, 1.15, generator=generator)
    gamma = torch.empty(count, 3, 1, 1).uniform_(-0.25, 0.25, generator=generator).exp()
    result[:count] = (gain * result[:count].clamp(1e-3, 1).pow(gamma)).clamp_(0, 1)
    return result


def erased(faces: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Fills a box with the face's mean in the first `share` of the batch."""
    size = faces.shape[-1]
    height, width = (int(n) for n in torch.randint(size // 8, size * 3 // 8, (2,), generator=generator))
    top, left = (int(torch.randint(0, size - n, (), generator=generator)) for n in (height, width))
    some = faces[: int(share * len(faces))]
    some[:, :, top : top + height, left : left + width] = some.mean(dim=(2, 3), keepdim=True)
    return faces


def mixed(faces: Tensor, labels: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Blends each of the last `share` of the batch with another of them, and their `labels` (B, L) by the same weight.

    The weight is that of mixup with Beta(0.5, 0.5) (Zhang et al., 2018), drawn as the square of a sine.
    """
    some = slice(len(faces) - int(share * len(faces)), len(faces))
    weight = spread(some.stop - some.start, (0.0, math.pi / 2), generator).sin().square()
    faces[some] = weight * faces[some] + (1 - weight) * faces[some].roll(1, dims=0)
    labels = labels.clone()
    weight = weight.view(-1, 1)
    labels[some] = weight * labels[some] + (1 - weight) * labels[some].roll(1, dims=0)
    return faces, labels


def greyed(faces: Tensor, share: float) -> Tensor:
    """(B, 3, S, S), of which the last `share` loses its colours."""
    start = len(faces) - int(share * len(faces))
    faces[start:] = (faces[start:] * GREY).sum(dim=1, keepdim=True)
    return faces
