"""What makes a key: canonical JSON of everything that changes numbers, and hashes of files and pixels."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_SEEDS = 10_000
"""Of one command: more is a slip of the keyboard."""


def canonical_json(value: Any) -> str:
    """The one spelling of `value`: sorted keys, no spaces, NaN refused. Raises ValueError or TypeError otherwise."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def key_of(identity: Mapping[str, Any]) -> str:
    """The full key (64 hexadecimal digits) of an identity; its first eight digits label files."""
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()


def seed_from(*parts: Any) -> int:
    """A seed in [0, 2**63) that depends on everything it is given, and on nothing else."""
    digest = hashlib.sha256(canonical_json(list(parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_hash(data: bytes | NDArray[np.uint8]) -> bytes:
    """SHA-256 (32 bytes) of a file's bytes, or of pixels that are no file."""
    return hashlib.sha256(data if isinstance(data, bytes) else data.tobytes()).digest()


def pixel_hash(pixels: NDArray[np.uint8]) -> bytes:
    """SHA-256 (32 bytes) of a decoded (H, W, 3) image: equal for equal pictures in different containers."""
    height, width, _ = pixels.shape
    digest = hashlib.sha256(f"{height}x{width}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()
