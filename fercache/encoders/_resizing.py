"""A library's evaluation transform on 8-bit images, with PyTorch's kernels instead of Pillow's.

It is faster, and its images differ by a few levels of 255 at most; see docs/scale.md.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fercache.runtime.vision_libraries import torchvision

CenterCrop, Resize = torchvision.transforms.CenterCrop, torchvision.transforms.Resize
InterpolationMode = torchvision.transforms.InterpolationMode
center_crop = torchvision.transforms.functional.center_crop

Resizing = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""(H, W, 3) -> (S, S, 3), both RGB."""

_TO_RGB = ("_convert_to_rgb", "MaybeConvertMode")
"""Steps of open_clip's that do nothing, since our images are RGB already."""


def on_pixels(transforms: Sequence[Any]) -> Resizing:
    """The steps of a library's transform before the image becomes a tensor.

    If these kernels lack one step, such as borders, Pillow does them all.
    """
    steps, resize = steps_on_pixels(transforms), _by_pytorch if kernels(transforms) == "pytorch" else _by_pillow
    return lambda pixels: resize(pixels, steps)


def kernels(transforms: Sequence[Any]) -> str:
    """The kernels used, for the identity: `pytorch` or `pillow`."""
    ours = all(type(step) is CenterCrop or _is_known_resize(step) for step in steps_on_pixels(transforms))
    return "pytorch" if ours else "pillow"


def steps_on_pixels(transforms: Sequence[Any]) -> list[Any]:
    """The steps of a library's transform before the image becomes a tensor."""
    names = [getattr(step, "__name__", type(step).__name__) for step in transforms]
    until = next(place for place, name in enumerate(names) if name.endswith("ToTensor"))
    return [transforms[place] for place in range(until) if names[place] not in _TO_RGB]


def _is_known_resize(step: Any) -> bool:
    modes = (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)
    return type(step) is Resize and step.max_size is None and step.interpolation in modes


def _by_pytorch(pixels: NDArray[np.uint8], steps: Sequence[Any]) -> NDArray[np.uint8]:
    image = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)
    for step in steps:
        if isinstance(step, Resize):
            image = _resized(image, step)
        elif tuple(step.size) != image.shape[2:]:
            image = center_crop(image, step.size)
    made: NDArray[np.uint8] = image.permute(0, 2, 3, 1).contiguous()[0].numpy()
    return made


def _resized(image: Tensor, step: Any) -> Tensor:
    """(1, 3, H, W); a size of one number applies to the shorter side, and torchvision rounds the longer one down."""
    height, width = image.shape[2:]
    size = step.size
    if isinstance(size, int) or len(size) == 1:
        side = size if isinstance(size, int) else size[0]
        size = (int(side * height / min(height, width)), int(side * width / min(height, width)))
    if tuple(size) == (height, width):
        return image
    return F.interpolate(image, tuple(size), mode=step.interpolation.value, antialias=True)


def _by_pillow(pixels: NDArray[np.uint8], steps: Sequence[Any]) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels)
    for step in steps:
        image = step(image)
    return np.asarray(image)
