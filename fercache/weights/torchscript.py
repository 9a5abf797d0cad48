"""Tensors of TorchScript archives, such as OpenAI's CLIP files: read from their pickled state, never executed.

Such a file is a zip: `NAME/data.pkl` holds the modules as plain objects, `NAME/data/N` the numbers of their tensors,
and `NAME/code/` programs, of which only the lists of parameters and buffers are read.
"""

import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_LARGEST_CODE = 2**24
"""Bytes of a program, and of the pickled modules."""
_LISTS = re.compile(r"^  __(?:parameters|buffers)__ = \[(.*)\]", re.MULTILINE)
_CLASS = re.compile(r"^class (\w+)\(Module\):\n((?:  .*\n)*)", re.MULTILINE)


def is_archive(path: Path) -> bool:
    """Whether a zip is a TorchScript archive: it has constants, which `torch.save` does not write."""
    with zipfile.ZipFile(path) as archive:
        return any(re.fullmatch(r"[^/]+/constants\.pkl", name) for name in archive.namelist())


def read(path: Path) -> dict[str, Tensor]:
    """Names and tensors, as in the module's `state_dict`.

    Raises pickle.UnpicklingError for anything but modules and tensors, ValueError for inconsistent records.
    """
    with zipfile.ZipFile(path) as archive:
        top = next(name for name in archive.namelist() if name.endswith("/data.pkl")).removesuffix("data.pkl")
        stored = _Stored(archive, top)
        with archive.open(_bounded(archive, f"{top}data.pkl")) as stream:
            root = _Unpickler(stream, stored).load()
        if not isinstance(root, _Module):
            raise pickle.UnpicklingError(f"it holds a {type(root).__name__}, not a module")
        return dict(_tensors(root, stored))


class _Module:
    """A pickled module: its attributes by name, without code."""

    kind = ""


class _Stored:
    """The records of an archive."""

    def __init__(self, archive: zipfile.ZipFile, top: str) -> None:
        self._archive, self._top = archive, top
        self._tensors: dict[str, Tensor] = {}
        self._named: dict[str, dict[str, set[str]]] = {}

    def numbers(self, key: str, dtype: torch.dtype, count: int) -> Tensor:
        """(count,) numbers of a record. Raises ValueError if it has another size, or is compressed."""
        if key not in self._tensors:
            info = self._archive.getinfo(f"{self._top}data/{key}")
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != count * dtype.itemsize:
                raise ValueError(f"its record {key} has {info.file_size} bytes instead of {count * dtype.itemsize}")
            data = bytearray(self._archive.read(info))
            self._tensors[key] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        found = self._tensors[key]
        if found.dtype != dtype:
            raise ValueError(f"its record {key} is used as two types")
        return found

    def state_names(self, kind: str) -> set[str]:
        """The names of a module's parameters and buffers, from its program."""
        module, _, name = kind.rpartition(".")
        if module not in self._named:
            path = f"{self._top}code/{module.replace('.', '/')}.py"
            text = self._archive.read(_bounded(self._archive, path)).decode()
            self._named[module] = {
                each[1]: {quoted for names in _LISTS.findall(each[2]) for quoted in re.findall(r'"([^"]*)"', names)}
                for each in _CLASS.finditer(text)
            }
        return self._named[module].get(name, set())


def _bounded(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    info = archive.getinfo(name)
    if info.file_size > _LARGEST_CODE:
        raise ValueError(f"{name} has {info.file_size} bytes; it may have {_LARGEST_CODE}")
    return info


class _Unpickler(pickle.Unpickler):
    """Builds modules, tensors and lists of known names, and nothing else."""

    def __init__(self, stream: Any, stored: _Stored) -> None:
        super().__init__(stream)
        self._stored = stored
        self._kinds: dict[str, type[_Module]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a class or function. Raises UnpicklingError if it is unknown."""
        if module.split(".")[0] == "__torch__":
            kind = f"{module}.{name}"
            return self._kinds.setdefault(kind, type("_Module", (_Module,), {"kind": kind}))
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        known: Mapping[tuple[str, str], Any] = {
            ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
            ("collections", "OrderedDict"): OrderedDict,
            ("torch.jit._pickle", "build_intlist"): list,
            ("torch.jit._pickle", "build_doublelist"): list,
            ("torch.jit._pickle", "build_boollist"): list,
            ("torch.jit._pickle", "build_tensorlist"): list,
            ("torch.jit._pickle", "restore_type_tag"): _untagged,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is not a tensor")
        return known[module, name]

    def persistent_load(self, place: Any) -> Tensor:
        """The numbers of which a tensor is a view."""
        if not (isinstance(place, tuple) and len(place) == 5 and place[0] == "storage"):
            raise pickle.UnpicklingError("it refers to something that is not a storage")
        _, dtype, key, _, count = place
        if not isinstance(dtype, torch.dtype) or not isinstance(key, str) or not isinstance(count, int):
            raise pickle.UnpicklingError("it refers to a storage of an unknown type")
        return self._stored.numbers(key, dtype, count)


def _rebuilt(numbers: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (0 not in size and last >= len(numbers)):
        raise ValueError("a tensor leads out of its record")
    return numbers.as_strided(size, stride, offset)


def _untagged(value: Any, _: str) -> Any:
    return value


def _tensors(module: _Module, stored: _Stored, before: str = "") -> Iterator[tuple[str, Tensor]]:
    """Depth first, like `state_dict`."""
    own = stored.state_names(module.kind)
    for name, value in vars(module).items():
        if isinstance(value, Tensor) and name in own:
            yield before + name, value
    for name, value in vars(module).items():
        if isinstance(value, _Module):
            yield from _tensors(value, stored, f"{before}{name}.")
