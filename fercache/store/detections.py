"""The faces that a detector found in images, by the hash of the image's file.

A detector has a folder; a file there has some images, and is not changed once it is written. So a process that is
killed loses only the images since its last file, and several can write at the same time.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.errors import UsageError
from fercache.identity import canonical_json, key_of
from fercache.store.atomic import entries
from fercache.store.sealed import Attribute, FileKind, opened, save_sealed

DETECTIONS = FileKind("file of detections", "fercache extract --faces DETECTOR")
FIELDS = 15
"""Of a face: box (4), score, landmarks (5 x and y; NaN if there are none)."""
_log = logging.getLogger(__name__)

Faces = NDArray[np.float64]
"""(F, FIELDS): the faces of an image."""


def detections_folder(cache: Path, identity: Mapping[str, Any]) -> Path:
    """`cache/detections/<detector>-<key8>`, for a detector's identity."""
    return cache / "detections" / f"{identity['name']}-{key_of(identity)[:8]}"


def write_detections(folder: Path, identity: Mapping[str, Any], found: Mapping[bytes, Faces]) -> Path:
    """Writes the faces of one or more images atomically; the file's name depends on the images."""
    hashes = b"".join(found)
    arrays: dict[str, NDArray[Any]] = {
        "sha256": np.frombuffer(hashes, np.uint8).reshape(-1, 32),
        "count": np.array([len(faces) for faces in found.values()], np.int32),
        "faces": np.concatenate(list(found.values())).reshape(-1, FIELDS),
    }
    attributes: dict[str, Attribute] = {"key": key_of(identity), "identity": canonical_json(identity)}
    path = folder / f"{hashlib.sha256(hashes).hexdigest()[:16]}.h5"
    return save_sealed(path, DETECTIONS, attributes, arrays=arrays, phase="detections")


def read_detections(path: Path) -> tuple[str, dict[bytes, Faces]]:
    """The detector's key, and the faces by image. Raises UsageError if the file is damaged or of a newer schema."""
    with opened(path, DETECTIONS) as file:
        arrays, key = file.arrays(), key_of(file.mapping("identity"))
        sha256, count, faces = arrays["sha256"], arrays["count"], arrays["faces"]
        if file.attributes["key"] != key:
            raise ValueError("its key does not match its identity")
        if sha256.shape != (len(count), 32) or faces.shape != (count.sum(), FIELDS):
            raise ValueError(f"it has {len(count)} images, {sha256.shape} hashes and {faces.shape} faces")
    parts = np.split(faces, np.cumsum(count)[:-1])
    return key, dict(zip((row.tobytes() for row in sha256), parts, strict=True))


class KnownDetections:
    """What a detector has found so far in all images that the cache knows; additions are written at once."""

    def __init__(self, cache: Path, identity: Mapping[str, Any]) -> None:
        self.identity = identity
        self._folder = detections_folder(cache, identity)
        self._found: dict[bytes, Faces] = {}
        for found in _readable(self._folder, key_of(identity)):
            self._found |= found

    def get(self, sha256: bytes) -> Faces | None:
        """The faces of an image; None if the detector has not seen it."""
        return self._found.get(sha256)

    def add(self, found: Mapping[bytes, Faces]) -> None:
        """Adds the faces of images. Raises FercacheError if they cannot be written."""
        if found:
            write_detections(self._folder, self.identity, found)
            self._found |= found


def _readable(folder: Path, key: str) -> Iterator[dict[bytes, Faces]]:
    """What the files of a detector hold; one that cannot be read is skipped with a warning."""
    for path in entries(folder):
        if path.suffix == ".h5":
            try:
                of, found = read_detections(path)
            except UsageError as error:
                _log.warning("Skipped: %s", error)
                continue
            if of == key:
                yield found
