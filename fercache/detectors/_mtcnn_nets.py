"""The three nets of MTCNN, with the weights of the wheel `mtcnn`."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fercache.errors import UsageError
from fercache.weights.joblib_arrays import read_arrays

Heads = tuple[Tensor, ...]


class Net(nn.Module):
    """Images (B, 3, H, W) from -1 to 1 -> one output per head; the last head is the probability of a face (B, ...)."""

    def __init__(self, body: Sequence[nn.Module], heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)
        self.heads = nn.ModuleList(heads)

    def forward(self, images: Tensor) -> Heads:
        """See the class."""
        found = self.body(images)
        *others, face = (head(found) for head in self.heads)
        return (*others, face.softmax(1)[:, 1])


class _ColumnsFirst(nn.Module):
    """(B, C, H, W) -> (B, W * H * C), the order in which the weights were trained."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(0, 3, 2, 1).flatten(1)


def _convolution(inputs: int, outputs: int, side: int, pool: int = 0) -> list[nn.Module]:
    pooled = [nn.MaxPool2d(pool, stride=2, ceil_mode=True)] if pool else []
    return [nn.Conv2d(inputs, outputs, side), nn.PReLU(outputs), *pooled]


def _dense(inputs: int, outputs: int) -> list[nn.Module]:
    return [_ColumnsFirst(), nn.Linear(inputs, outputs), nn.PReLU(outputs)]


def proposal_net() -> Net:
    """Any image -> corrections (B, 4, h, w) and probabilities (B, h, w) of windows of 12 pixels, every 2 pixels."""
    body = [*_convolution(3, 10, 3, pool=2), *_convolution(10, 16, 3), *_convolution(16, 32, 3)]
    return _with_weights(Net(body, [nn.Conv2d(32, 4, 1), nn.Conv2d(32, 2, 1)]), "pnet")


def refinement_net() -> Net:
    """Images of 24 x 24 pixels -> corrections (B, 4) and probabilities (B,)."""
    body = [*_convolution(3, 28, 3, pool=3), *_convolution(28, 48, 3, pool=3), *_convolution(48, 64, 2)]
    return _with_weights(Net([*body, *_dense(576, 128)], [nn.Linear(128, 4), nn.Linear(128, 2)]), "rnet")


def output_net() -> Net:
    """Images of 48 x 48 pixels -> corrections (B, 4), landmarks (B, 10: five x, then five y) and probabilities (B,)."""
    body = [*_convolution(3, 32, 3, pool=3), *_convolution(32, 64, 3, pool=3), *_convolution(64, 64, 3, pool=2)]
    body += [*_convolution(64, 128, 2), *_dense(1152, 256)]
    return _with_weights(Net(body, [nn.Linear(256, 4), nn.Linear(256, 10), nn.Linear(256, 2)]), "onet")


def weight_file(name: str) -> Path:
    """The file of a net's weights in the wheel, which is not imported."""
    package = importlib.util.find_spec("mtcnn")
    if package is None or not package.submodule_search_locations:
        raise UsageError("The package mtcnn is not installed: pip install 'fercache[faces]'")
    return Path(package.submodule_search_locations[0]) / "assets" / "weights" / f"{name}.lz4"


@torch.no_grad()
def _with_weights(net: Net, name: str) -> Net:
    path, parameters = weight_file(name), list(net.parameters())
    arrays = [_as_torch(array) for array in read_arrays(path)]
    if [array.shape for array in arrays] != [tuple(parameter.shape) for parameter in parameters]:
        raise UsageError(f"{path} has weights of another network. fercache needs mtcnn 1.0: pip install 'mtcnn>=1,<2'")
    for parameter, array in zip(parameters, arrays, strict=True):
        parameter.copy_(torch.from_numpy(array.copy()))
    return net.eval().requires_grad_(False)


def _as_torch(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """From the order of Keras (height, width, inputs, outputs) to that of torch."""
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1)
    return array.T if array.ndim == 2 else array.ravel()
