"""Arrays in a joblib dump, read without running its code and without joblib."""

import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fercache.errors import UsageError

Weights = list[NDArray[np.float32]]

MOST_BYTES = 64 * 2**20
"""The largest dump that is read, after decompression."""


def read_arrays(path: Path) -> Weights:
    """The float32 arrays of a joblib dump of a list of arrays, compressed by LZ4.

    Raises UsageError for a file that is missing, larger than MOST_BYTES, or holds anything else.
    """
    import lz4.frame

    try:
        with lz4.frame.open(path) as dump:
            found = _ArraysOnly(dump).load()
    except (OSError, RuntimeError, EOFError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise UsageError(f"{path} cannot be read: {error}. Install its package again.") from None
    except pickle.UnpicklingError as error:
        raise UsageError(f"{path} is not a list of arrays: {error}. Install its package again.") from None
    if not isinstance(found, list) or not all(isinstance(each, _Array) for each in found):
        raise UsageError(f"{path} is not a list of arrays. Install its package again.")
    return [each.values for each in found]


class _ArraysOnly(pickle.Unpickler):
    """Replaces the three classes of such a dump by ours, and refuses all others."""

    def __init__(self, dump: IO[bytes]) -> None:
        super().__init__(_Exact(dump))
        self.dump = dump

    def find_class(self, module: str, name: str) -> Any:
        """See `pickle.Unpickler`."""
        match module, name:
            case "joblib.numpy_pickle", "NumpyArrayWrapper":
                return type("_Array", (_Array,), {"dump": self.dump})
            case ("numpy", "dtype") | ("numpy", "ndarray"):
                return _Named
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


class _Exact:
    """A file without `peek`, so that no byte beyond a header is read: an array's bytes follow it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read, self.readline = file.read, file.readline


class _Named:
    """A dtype with its name, or the class of arrays."""

    def __init__(self, name: str = "", *_: object) -> None:
        self.name = name

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


class _Array:
    """What joblib writes in front of an array's bytes."""

    dump: IO[bytes]
    values: NDArray[np.float32]

    def __setstate__(self, header: Mapping[str, Any]) -> None:
        shape, kind = header["shape"], header["dtype"]
        if not isinstance(kind, _Named) or (kind.name, kind.order, header["order"]) != ("f4", "<", "C"):
            raise pickle.UnpicklingError("an array is not of float32 in the order of C")
        if not all(isinstance(length, int) and length > 0 for length in shape):
            raise pickle.UnpicklingError(f"an array has the shape {shape}")
        size = 4 * math.prod(shape)
        if size > MOST_BYTES - self.dump.tell():
            raise pickle.UnpicklingError("it is too large")
        self.dump.read(self.dump.read(1)[0])  # bytes for alignment
        self.values = np.frombuffer(self.dump.read(size), "<f4").reshape(shape).astype(np.float32)
