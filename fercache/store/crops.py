"""Face crops for trunks that look at pixels, beside the feature tables; encoders that cut alike share them."""

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
from fercache.store.sealed import Attribute, Kind, SealedFile, Slot, opened, pack, write_sealed
from fercache.store.tables import TableInfo

CROPS = Kind("file of crops", "fercache extract --dataset NAME --crops SIDE")
PIXELS = "crops"
_log = logging.getLogger(__name__)
_FROM_TABLE = ("dataset", "manifest", "split", "corruption")
"""Entries of a feature table's identity that say which faces it is of."""


@dataclass(frozen=True)
class CropsInfo:
    """What a file of crops says about itself: side S, and how the faces were cut and resized."""

    path: Path
    key: str
    identity: dict[str, Any]
    side: int
    geometry: dict[str, Any]


@dataclass(frozen=True)
class Crops:
    """Rows as in the feature table of the same faces: `pixels` (N, S, S, 3) uint8, on disk until they are read.

    `pixel_sha256` (N, 32) and `native` (N, 2), height and width, are of the picture as decoded.
    """

    info: CropsInfo
    id: NDArray[np.object_]
    pixel_sha256: NDArray[np.uint8]
    native: NDArray[np.int32]
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Cut:
    """Some rows to be written: `pixels` (B, S, S, 3), `native` (B, 2)."""

    pixels: NDArray[np.uint8]
    native: NDArray[np.int32]


def crops_identity(table: Mapping[str, Any], geometry: Mapping[str, Any], side: int) -> dict[str, Any]:
    """Everything that changes the crops of the faces that a feature table's identity is about."""
    return {**_faces_of(table), "geometry": dict(geometry), "side": side}


def _faces_of(table: Mapping[str, Any]) -> dict[str, Any]:
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
    """Writes crops, part by part, atomically; in memory is one part.

    There are no shards to go on from: decoding and resizing is a small part of what encoding takes. Raises
    FercacheError when the disk cannot take it, ValueError when the parts are not as many rows as there are ids.
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
        write_sealed(stream, CROPS, attributes, slots, filled(), "crops")
    return path


def read_crops(path: Path) -> Crops:
    """Opens a file of crops. Raises UsageError when it is absent, damaged or of a newer schema.

    Pixels may be more than fits in memory, so they are read as they are asked for; `fercache cache verify` checks them.
    """
    with opened(path, CROPS) as file:
        info = _info(path, file)
        id, pixel_sha256, native = (file.array(name) for name in ("id", "pixel_sha256", "native"))
        shape = file.slots[PIXELS].shape if PIXELS in file.slots else ()
        if shape != (len(id), info.side, info.side, 3):
            raise ValueError(f"its crops have shape {shape}")
        pixels = file.mapped(PIXELS, path)
    return Crops(info, id, pixel_sha256, native, pixels)


def check_crops(path: Path) -> None:
    """Reads all of a file of crops. Raises UsageError when any bit of it has changed."""
    with opened(path, CROPS) as file:
        for name in file.slots:
            file.check(name)


def crop_files(cache: Path) -> list[Path]:
    """Every file that should be a finished one of crops, by name."""
    return [path for path in entries(cache / "crops") if path.suffix == ".h5"]


def find_crops(cache: Path, table: TableInfo) -> list[CropsInfo]:
    """The crops of a table's faces, cut as its encoder cuts, those asked for last first.

    A file that cannot be read is skipped with a warning.
    """
    faces, cut = _faces_of(table.identity), table.identity["encoder"].get("preprocessing", {}).items()
    found = []
    for path in crop_files(cache):
        try:
            with opened(path, CROPS) as file:
                info = _info(path, file)
        except UsageError as error:
            _log.warning("Skipped: %s", error)
            continue
        if _faces_of(info.identity) == faces and info.geometry.items() <= cut:
            found.append(info)
    return sorted(found, key=lambda info: last_asked(info.path), reverse=True)


def rows_of(crops: Crops, ids: NDArray[np.object_]) -> NDArray[np.int64]:
    """(N,) the rows of these faces. Raises UsageError when one has no crop."""
    place = {id: row for row, id in enumerate(crops.id)}
    if absent := [id for id in ids if id not in place]:
        raise UsageError(f"{crops.info.path} has no crop of {absent[0]}. Delete it and write it again.")
    return np.array([place[id] for id in ids], dtype=np.int64)


def _info(path: Path, file: SealedFile) -> CropsInfo:
    identity, key = file.mapping("identity"), str(file.attributes["key"])
    if key != key_of(identity):
        raise ValueError("its key is not that of its identity")
    return CropsInfo(path, key, identity, int(identity["side"]), dict(identity["geometry"]))
