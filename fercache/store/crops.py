"""Face crops for trunks that see pixels, beside the feature tables; encoders with the same geometry share them."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.errors import UsageError
from fercache.identity import canonical_json, key_of
from fercache.store.asked import last_asked
from fercache.store.atomic import entries, replacing
from fercache.store.sealed import Attribute, FileKind, SealedFile, Slot, opened, pack, write_sealed
from fercache.store.tables import TableInfo

CROPS = FileKind("file of crops", "fercache extract --dataset NAME --crops SIDE")
PIXELS = "crops"
_log = logging.getLogger(__name__)
_FROM_TABLE = ("dataset", "manifest", "split", "corruption")
"""Entries of a feature table's identity that determine its faces."""


@dataclass(frozen=True)
class CropsInfo:
    """The attributes of a file of crops: side S, and how the faces were cut and resized."""

    path: Path
    key: str
    identity: dict[str, Any]
    side: int
    geometry: dict[str, Any]


@dataclass(frozen=True)
class CropFile:
    """Rows as in the feature table of the same faces: `pixels` (N, S, S, 3) uint8, on disk until read.

    `pixel_sha256` (N, 32) and `native` (N, 2), height and width, describe the decoded image.
    """

    info: CropsInfo
    id: NDArray[np.object_]
    pixel_sha256: NDArray[np.uint8]
    native: NDArray[np.int32]
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Cut:
    """Some rows to write: `pixels` (B, S, S, 3), `native` (B, 2)."""

    pixels: NDArray[np.uint8]
    native: NDArray[np.int32]


def crops_identity(table: Mapping[str, Any], geometry: Mapping[str, Any], side: int) -> dict[str, Any]:
    """Everything that affects the crops of a feature table's faces."""
    return {**faces_of(table), "geometry": dict(geometry), "side": side}


def faces_of(table: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a feature table's identity, or of that of crops, that determines the faces."""
    return {name: table[name] for name in _FROM_TABLE if name in table}


def crops_path(cache: Path, table: Path, side: int, key: str) -> Path:
    """`cache/crops/<dataset>-<side>-<key8>.h5`."""
    return cache / "crops" / f"{table.stem.rpartition('-')[0]}-{side}-{key[:8]}.h5"


def write_crops(
    path: Path,
    identity: Mapping[str, Any],
    *,
    id: NDArray[np.object_],
    pixel_sha256: NDArray[np.uint8],
    parts: Iterable[Cut],
) -> Path:
    """Writes crops, part by part, atomically; one part is in memory.

    There are no shards to resume from: decoding and resizing takes little time compared with encoding. Raises
    FercacheError if the disk is full, ValueError if the parts and the ids differ in number.
    """
    rows, side = len(id), int(identity["side"])
    whole = pack({"id": id, "pixel_sha256": pixel_sha256})
    slots = {name: Slot(array.shape, array.dtype) for name, array in whole.items()}
    slots |= {"native": Slot((rows, 2), np.dtype("<i4")), PIXELS: Slot((rows, side, side, 3), np.dtype("|u1"))}

    def filled() -> Iterable[dict[str, NDArray[Any]]]:
        begin = 0
        for cut in parts:
            end = begin + len(cut.pixels)
            yield {name: array[begin:end] for name, array in whole.items()} | {
                "native": cut.native,
                PIXELS: cut.pixels,
            }
            begin = end

    attributes: dict[str, Attribute] = {"key": key_of(identity), "identity": canonical_json(identity)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, "crops") as temporary, temporary.open("wb") as stream:
        write_sealed(stream, CROPS, attributes, slots=slots, parts=filled(), phase="crops")
    return path


def read_crops(path: Path) -> CropFile:
    """Opens a file of crops. Raises UsageError if it is absent, damaged or of a newer schema.

    Pixels may not fit in memory, so they are read on demand; `fercache cache verify` checks them.
    """
    with opened(path, CROPS) as file:
        info = _info(path, file)
        id, pixel_sha256, native = (file.array(name) for name in ("id", "pixel_sha256", "native"))
        shape = file.slots[PIXELS].shape if PIXELS in file.slots else ()
        if shape != (len(id), info.side, info.side, 3):
            raise ValueError(f"its crops have shape {shape}")
        pixels = file.mapped(PIXELS, path)
    return CropFile(info, id, pixel_sha256, native=native, pixels=pixels)


def check_crops(path: Path) -> None:
    """Reads all of a file of crops. Raises UsageError if any bit has changed."""
    with opened(path, CROPS) as file:
        for name in file.slots:
            file.check(name)


def crops_info(path: Path) -> CropsInfo:
    """Reads the attributes of a file of crops only. Raises UsageError as `read_crops`."""
    with opened(path, CROPS) as file:
        return _info(path, file)


def crop_files(cache: Path) -> list[Path]:
    """Every file that should be a finished file of crops, sorted."""
    return [path for path in entries(cache / "crops") if path.suffix == ".h5"]


def find_crops(cache: Path, table: TableInfo) -> list[CropsInfo]:
    """The crops of a table's faces with its encoder's geometry, last requested first.

    A file that cannot be read is skipped with a warning.
    """
    faces, cut = faces_of(table.identity), table.identity["encoder"].get("preprocessing", {}).items()
    found = []
    for path in crop_files(cache):
        try:
            info = crops_info(path)
        except UsageError as error:
            _log.warning("Skipped: %s", error)
            continue
        if faces_of(info.identity) == faces and info.geometry.items() <= cut:
            found.append(info)
    return sorted(found, key=lambda info: last_asked(info.path), reverse=True)


def rows_of(crops: CropFile, ids: NDArray[np.object_]) -> NDArray[np.int64]:
    """(N,) the rows of these faces. Raises UsageError if one has no crop."""
    place = {id: row for row, id in enumerate(crops.id)}
    if absent := [id for id in ids if id not in place]:
        raise UsageError(f"{crops.info.path} has no crop of {absent[0]}. Delete it and write it again.")
    return np.array([place[id] for id in ids], dtype=np.int64)


def _info(path: Path, file: SealedFile) -> CropsInfo:
    identity, key = file.mapping("identity"), str(file.attributes["key"])
    if key != key_of(identity):
        raise ValueError("its key does not match its identity")
    return CropsInfo(path, key, identity, side=int(identity["side"]), geometry=dict(identity["geometry"]))
