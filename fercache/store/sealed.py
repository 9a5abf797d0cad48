"""HDF5 files with a seal: a file is read bit for bit as written, or refused.

HDF5 crashes instead of raising when a write fails or variable-length data are damaged. So it only writes to memory: it
lays the file out, and we write the arrays to the reserved places, and its metadata last. Text has fixed length (UTF-8,
as wide as the longest entry), metadata use the format with checksums, and every array is contiguous (also the fastest
to read), so that its size can be checked before memory is allocated.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o
from numpy.typing import NDArray

from fercache.errors import FercacheError, UsageError
from fercache.identity import canonical_json
from fercache.store.atomic import log_phase, replacing
from fercache.store.rows import Piece
from fercache.store.schema import SCHEMA
from fercache.store.sparse import SparseMemory

_FORMAT = ("v108", "v108")
_SIGNATURE = b"\x89HDF\r\n\x1a\n\x02"  # the format with checksums
BLOCK = 2**26
"""Bytes of a large array held in memory while it is checked."""
TEXTS = 2**16
"""Texts that are decoded at once."""

Attribute = str | int | float


class DamagedFileError(UsageError):
    """A file of the wrong kind, truncated, changed, or never finished."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file, the command that writes it, and the newest schema that can be read."""

    name: str
    command: str
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class Slot:
    """Shape and type of an array in a file; text is of type `S<bytes>`."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Bytes."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize


def pack(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Arrays in stored form: strings become UTF-8 of fixed length. Raises UsageError for text that cannot be stored."""
    return {name: _encode_text(a) if a.dtype.kind in "OU" else a for name, a in arrays.items()}


def _encode_text(values: NDArray[Any]) -> NDArray[np.bytes_]:
    try:
        encoded = [str(value).encode() for value in values]
    except UnicodeEncodeError as error:
        raise UsageError(f"{error.object!r} is not valid text (UTF-8) and cannot be stored. Rename it.") from error
    if broken := [value for value in encoded if b"\0" in value]:
        raise UsageError(f"{broken[0]!r} contains a NUL character and cannot be stored. Rename it.")
    return np.array(encoded, dtype=f"S{max([1, *map(len, encoded)])}")


def _decoded(values: NDArray[np.bytes_]) -> NDArray[np.object_]:
    """Text as strings; where few differ, equal ones are one object: a million names of splits take 60 MB otherwise."""
    found, names = np.empty(len(values), dtype=object), dict[bytes, str]()
    for begin in range(0, len(values), TEXTS):
        some: list[bytes] = values[begin : begin + TEXTS].tolist()
        different = set(some)
        if len(different) <= len(some) // 2:
            names |= {value: value.decode() for value in different if value not in names}
            found[begin : begin + TEXTS] = [names[value] for value in some]
        else:
            found[begin : begin + TEXTS] = [value.decode() for value in some]
    return found


def save_sealed(
    path: Path, kind: FileKind, attributes: Mapping[str, Attribute], arrays: Mapping[str, NDArray[Any]], phase: str = ""
) -> Path:
    """Writes `arrays` atomically. Raises UsageError for text that cannot be stored, FercacheError for a full disk."""
    packed = pack(arrays)
    slots = {name: Slot(array.shape, array.dtype) for name, array in packed.items()}
    with replacing(path, phase) as temporary, temporary.open("wb") as stream:
        write_sealed(stream, kind, attributes, slots=slots, parts=[packed], phase=phase)
    return path


def write_sealed(
    stream: BinaryIO,
    kind: FileKind,
    attributes: Mapping[str, Attribute],
    slots: Mapping[str, Slot],
    parts: Iterable[Mapping[str, NDArray[Any]]],
    phase: str = "",
) -> None:
    """Writes a file of `slots`, filled along their first axis part by part; one part is in memory.

    Raises OSError if the disk is full, ValueError if the parts do not fill the slots.
    """
    memory = SparseMemory()
    with h5py.File(memory, "w", libver=_FORMAT) as file:
        datasets = {name: _reserve(file, name, slot) for name, slot in slots.items()}
        sums = _fill(stream, slots, {name: d.id.get_offset() for name, d in datasets.items()}, parts=parts, phase=phase)
        for name, dataset in datasets.items():
            _set(dataset, "sha256", sums[name])
        marked = {**attributes, "schema": attributes.get("schema", SCHEMA), "kind": kind.name}
        for key, value in marked.items():
            _set(file, key, value)
        _set(file, "complete", _seal(marked, slots, sums))
        file.flush()
        size = file.id.get_filesize()
    stream.truncate(size)
    for offset, data in memory.pieces:
        stream.seek(offset)
        stream.write(data)
    stream.flush()


def _reserve(file: h5py.File, name: str, slot: Slot) -> h5py.Dataset:
    group, _, _ = name.rpartition("/")
    if group and group not in file:
        h5g.create(file.id, group.encode(), gcpl=_timeless(h5py.h5p.GROUP_CREATE))
    creation = _timeless(h5py.h5p.DATASET_CREATE)
    creation.set_layout(h5d.CONTIGUOUS)
    creation.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5d.FILL_TIME_NEVER)
    is_text = slot.dtype.kind == "S"
    dtype = h5py.string_dtype("utf-8", slot.dtype.itemsize) if is_text else slot.dtype.newbyteorder("<")
    stored, space = h5py.h5t.py_create(dtype, logical=True), h5py.h5s.create_simple(slot.shape)
    return h5py.Dataset(h5d.create(file.id, name.encode(), stored, space, creation))


def _timeless(kind: Any) -> Any:
    """Creation properties without a date, so that equal contents give equal bytes."""
    properties = h5py.h5p.create(kind)
    properties.set_obj_track_times(False)
    return properties


def _fill(
    stream: BinaryIO,
    slots: Mapping[str, Slot],
    offsets: Mapping[str, int | None],
    parts: Iterable[Mapping[str, NDArray[Any]]],
    phase: str,
) -> dict[str, str]:
    sums = {name: hashlib.sha256() for name in slots}
    filled = dict.fromkeys(slots, 0)
    for number, part in enumerate(parts):
        for name, slot in slots.items():
            stored = slot.dtype if slot.dtype.kind == "S" else slot.dtype.newbyteorder("<")
            data = _bytes_of(part[name].astype(stored, copy=False))
            sums[name].update(data.data)
            if data.size:
                stream.seek((offsets[name] or 0) + filled[name])
                stream.write(data.data)
            filled[name] += data.size
        if number == 0:
            stream.flush()
            log_phase(phase, "writing")
    if wrong := [name for name, slot in slots.items() if filled[name] != slot.size]:
        raise ValueError(f"the parts do not fill {', '.join(wrong)}")
    return {name: digest.hexdigest() for name, digest in sums.items()}


def _bytes_of(array: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _set(item: h5py.File | h5py.Dataset, name: str, value: Attribute) -> None:
    if isinstance(value, str):
        encoded = value.encode()
        item.attrs.create(name, np.array(encoded, dtype=h5py.string_dtype("utf-8", max(1, len(encoded)))))
    else:
        item.attrs.create(name, value)


def _seal(attributes: Mapping[str, Attribute], slots: Mapping[str, Slot], sums: Mapping[str, str]) -> str:
    columns = {name: [list(slot.shape), slot.dtype.newbyteorder("<").str, sums[name]] for name, slot in slots.items()}
    return hashlib.sha256(canonical_json([dict(attributes), columns]).encode()).hexdigest()


class SealedFile:
    """An open file whose attributes and layout have been checked; arrays are checked when read."""

    def __init__(self, file: h5py.File, size: int) -> None:
        # Low-level HDF5 objects: h5py's wrappers take most of the time when thousands of small files are opened.
        root = h5g.open(file.id, b"/")
        attributes = [h5a.open(root, index=place) for place in range(h5a.get_num_attrs(root))]
        self.attributes: dict[str, Attribute] = {one.name.decode(): _value(one, size) for one in attributes}
        self.seal = str(self.attributes.pop("complete", ""))
        self._datasets = dict(_datasets(root))
        self.slots = {name: _slot(name, dataset, size) for name, dataset in self._datasets.items()}
        self._sums = {name: str(_value(h5a.open(each, b"sha256"), 64)) for name, each in self._datasets.items()}

    def check_seal(self) -> None:
        """Raises ValueError if an attribute, a shape or a recorded checksum has changed."""
        if not self.seal:
            raise ValueError("it was never finished")
        if self.seal != _seal(self.attributes, self.slots, self._sums):
            raise ValueError("its attributes have changed since it was written")

    def checksum(self, name: str) -> str:
        """The recorded checksum of an array. Raises ValueError if it is absent."""
        if name not in self._sums:
            raise ValueError(f"'{name}' is missing")
        return self._sums[name]

    def raw(self, name: str) -> NDArray[Any]:
        """An array as stored, text as bytes. Raises ValueError if it is absent or has changed."""
        if name not in self._datasets:
            raise ValueError(f"'{name}' is missing")
        array: NDArray[Any] = h5py.Dataset(self._datasets[name])[...]
        if hashlib.sha256(_bytes_of(array).data).hexdigest() != self._sums[name]:
            raise ValueError(f"'{name}' has changed since it was written (checksum)")
        return array

    def mapped(self, name: str, path: Path) -> NDArray[Any]:
        """A read-only array on disk that stays usable after the file is closed; its checksum is not checked."""
        slot = self.slots[name]
        if not slot.size:
            return np.empty(slot.shape, slot.dtype)
        return np.memmap(path, slot.dtype, "r", self._datasets[name].get_offset(), slot.shape)

    def piece(self, name: str, path: Path) -> Piece:
        """The rows of an array, to be read after the file is closed. Raises ValueError as `check`."""
        self.check(name)
        return Piece(path, self._datasets[name].get_offset() or 0, self.slots[name].shape[0])

    def check(self, name: str) -> None:
        """Raises ValueError if an array has changed; one block of rows is in memory."""
        dataset, digest = h5py.Dataset(self._datasets[name]), hashlib.sha256()
        rows = max(1, BLOCK // max(1, self.slots[name].size // max(1, len(dataset))))
        for begin in range(0, len(dataset), rows):
            digest.update(_bytes_of(dataset[begin : begin + rows]).data)
        if digest.hexdigest() != self._sums[name]:
            raise ValueError(f"'{name}' has changed since it was written (checksum)")

    def array(self, name: str) -> NDArray[Any]:
        """An array, text as strings (object). Raises ValueError as `raw`."""
        array = self.raw(name)
        return _decoded(array) if array.dtype.kind == "S" else array

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays by name."""
        return {name: self.array(name) for name in self.slots}

    def mapping(self, name: str) -> dict[str, Any]:
        """An attribute that holds a JSON object. Raises ValueError if it is absent or something else."""
        found = self._parsed(name)
        if not isinstance(found, dict):
            raise ValueError(f"attribute '{name}' is not a JSON object")
        return found

    def names(self, name: str) -> tuple[str, ...]:
        """An attribute that holds a JSON list of strings. Raises ValueError if it is absent or something else."""
        found = self._parsed(name)
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise ValueError(f"attribute '{name}' is not a list of names")
        return tuple(found)

    def _parsed(self, name: str) -> Any:
        if name not in self.attributes:
            raise ValueError(f"attribute '{name}' is missing")
        return json.loads(str(self.attributes[name]))


def _datasets(root: Any) -> Iterator[tuple[str, Any]]:
    """Datasets at the top level and one group below; external links are refused without being followed."""
    for name, item in _members(root):
        if isinstance(item, h5g.GroupID):
            yield from ((f"{name}/{inner}", found) for inner, found in _members(item))
        else:
            yield name, item


def _members(group: Any) -> Iterator[tuple[str, Any]]:
    for name in group:
        if group.links.get_info(name).type != h5l.TYPE_HARD:
            raise ValueError(f"'{name.decode()}' is outside the file")
        yield name.decode(), h5o.open(group, name)


def _slot(name: str, dataset: Any, size: int) -> Slot:
    if not isinstance(dataset, h5d.DatasetID) or dataset.dtype.kind not in "iufS":
        raise ValueError(f"'{name}' is not an array of numbers or of text of fixed length")
    if not dataset.shape:
        raise ValueError(f"'{name}' has no rows")
    creation = dataset.get_create_plist()
    if creation.get_layout() != h5d.CONTIGUOUS or creation.get_external_count():
        raise ValueError(f"'{name}' is not stored in one piece inside the file")
    slot = Slot(dataset.shape, np.dtype(dataset.dtype.str))
    offset = dataset.get_offset()
    if slot.size and (offset is None or offset + slot.size > size):
        raise ValueError(f"'{name}' claims {slot.size} bytes, more than the file holds")
    return slot


def _value(attribute: Any, size: int) -> Attribute:
    dtype = attribute.dtype
    if attribute.shape != () or dtype.kind not in "iufS" or dtype.itemsize > size:
        raise ValueError(f"attribute '{attribute.name.decode()}' is neither a number nor text of fixed length")
    value = np.empty((), dtype)
    attribute.read(value)
    if dtype.kind == "S":
        return bytes(value.item()).decode()
    return float(value) if dtype.kind == "f" else int(value)


@contextmanager
def opened(path: Path, kind: FileKind) -> Iterator[SealedFile]:
    """A sealed file, open for reading.

    Raises UsageError if it is absent, unreadable or of a newer schema, DamagedFileError if it is damaged or the body
    raises anything, FercacheError if it does not fit in memory.
    """
    size = _check_readable(path, kind)
    try:
        with h5py.File(path, "r", locking=False) as file:
            sealed = SealedFile(file, size)
            _check_schema(path, kind, sealed)
            sealed.check_seal()
            if sealed.attributes["kind"] != kind.name:
                raise ValueError(f"it is a {sealed.attributes['kind']}")
            yield sealed
    except FercacheError:
        raise
    except MemoryError as error:
        raise FercacheError(f"{path} ({size / 2**20:.0f} MiB) does not fit in memory.") from error
    except Exception as error:  # HDF5 raises nearly anything on damaged bytes
        raise _damaged(path, kind, str(error)) from error


def _check_readable(path: Path, kind: FileKind) -> int:
    try:
        with path.open("rb") as stream:
            start = stream.read(len(_SIGNATURE))
            size = stream.seek(0, io.SEEK_END)
    except FileNotFoundError:
        raise UsageError(f"There is no {kind.name} at {path}. Write it with `{kind.command}`.") from None
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from error
    if start != _SIGNATURE:
        raise _damaged(path, kind, "it has another beginning")
    return size


def _check_schema(path: Path, kind: FileKind, file: SealedFile) -> None:
    schema = file.attributes.get("schema")
    if isinstance(schema, int) and schema > kind.schema:
        raise UsageError(
            f"{path} is of schema {schema}, newer than this fercache reads ({kind.schema}). Upgrade it: "
            f"pip install --upgrade fercache."
        )


def _damaged(path: Path, kind: FileKind, reason: str) -> DamagedFileError:
    return DamagedFileError(
        f"{path} is not a usable {kind.name}: {reason}. Delete it and write it again with `{kind.command}`."
    )
