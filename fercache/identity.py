"""Keys: hashes of canonical JSON of everything that affects results, and hashes of files and pixels."""

import hashlib
import json
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_SEEDS = 10_000
"""Most seeds of one command: more is a typing error."""


def canonical_json(value: Any) -> str:
    """The unique JSON text of `value`: sorted keys, no spaces. Raises ValueError (NaN) or TypeError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def key_of(identity: Mapping[str, Any]) -> str:
    """The full key (64 hexadecimal digits) of an identity; its first eight digits are used in file names."""
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()


def seed_from(*parts: Any) -> int:
    """A seed in [0, 2**63) that depends only on all its arguments."""
    digest = hashlib.sha256(canonical_json(list(parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def hashed_alike(hashes: "array[int]") -> set[int]:
    """The values of `hash` that occur more than once: where no dictionary of all texts fits in memory."""
    found = np.sort(np.frombuffer(hashes, np.int64)) if hashes else np.empty(0, np.int64)
    return set(found[1:][found[1:] == found[:-1]].tolist())


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_hash(data: bytes | NDArray[np.uint8]) -> bytes:
    """SHA-256 (32 bytes) of a file's bytes, or of pixels without a file."""
    return hashlib.sha256(data if isinstance(data, bytes) else data.tobytes()).digest()


def pixel_hash(pixels: NDArray[np.uint8]) -> bytes:
    """SHA-256 (32 bytes) of a decoded (H, W, 3) image: equal for equal images in different containers."""
    height, width, _ = pixels.shape
    digest = hashlib.sha256(f"{height}x{width}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()
