"""Features for training and scoring: a tensor if they fit in memory, else rows that are read from disk on demand."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fercache.errors import UsageError
from fercache.runtime.memory import fits
from fercache.store.rows import JoinedRows, Rows

SIZE = np.dtype(np.float32).itemsize


def features_of(parts: Sequence[Rows], device: str) -> Tensor:
    """(N, D) float32 on the device: the rows of all parts, one after the other.

    A `FeaturesOnDisk`, typed as the tensor that it stands for, if they do not fit in memory.
    """
    if fits(SIZE * sum(len(part) for part in parts) * parts[0].shape[1]):
        tensors = [_on(device, part[:]) for part in parts]
        return tensors[0] if len(tensors) == 1 else torch.cat(tensors)
    return cast(Tensor, FeaturesOnDisk(JoinedRows(parts), device))


def _on(device: str, features: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(features.astype(np.float32)).to(device)


class FeaturesOnDisk:
    """Stands for a tensor (N, D) float32: indexing reads rows and puts them on the device.

    `index` (N,) are the rows that it consists of, by default all that are `stored`.
    """

    dtype = torch.float32

    def __init__(self, stored: JoinedRows, device: str, index: NDArray[np.int64] | None = None) -> None:
        self._stored = stored
        self._index = index
        self.device = torch.device(device)
        self.shape = torch.Size((len(stored) if index is None else len(index), stored.shape[1]))

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, index: Tensor) -> Tensor:
        """The rows at `index` (N',), still on disk."""
        return cast(Tensor, FeaturesOnDisk(self._stored, str(self.device), self._rows(index)))

    def __getitem__(self, index: Tensor) -> Tensor:
        return _on(str(self.device), self._stored[self._rows(index)])

    def _rows(self, index: Tensor) -> NDArray[np.int64]:
        rows = index.cpu().numpy()
        return rows if self._index is None else self._index[rows]

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self._refusal(f"features.{name}")

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, given: Sequence[Any] = (), named: Any = None) -> Any:
        """Called by functions of torch that are given an instance."""
        mine = next(each for each in [*given, *(named or {}).values()] if isinstance(each, cls))
        raise mine._refusal(f"torch.{function.__name__}")

    def _refusal(self, asked: str) -> UsageError:
        return UsageError(
            f"The features of {len(self):,} faces do not fit in memory, and this head needs them at once ({asked}). "
            "Train on fewer faces with --faces N, or raise `memory` in fercache.toml."
        )
