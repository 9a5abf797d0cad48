"""What is to be encoded: the faces of a set in their order, and a hash that changes whenever any of them does."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

from fercache.datasets import FaceImage
from fercache.errors import UsageError
from fercache.identity import canonical_json
from fercache.progress import progress

PER_TASK = 256
ABSENT = bytes(32)
"""Stands for a file that cannot be read; it becomes a line of the quarantine list."""


@dataclass(frozen=True)
class Listing:
    """All faces of a set, and the hash of what they are and how they are labelled."""

    faces: tuple[FaceImage, ...]
    manifest_hash: str


def list_faces(name: str, faces: Sequence[FaceImage]) -> Listing:
    """Reads every image once to hash it. Raises UsageError for an empty set or an id that occurs twice."""
    if not faces:
        raise UsageError(f"{name}: no face images found. Look at `fercache datasets show {name.partition(':')[0]}`.")
    _refuse_repeated_ids(name, faces)
    manifest = hashlib.sha256()
    some = [faces[begin : begin + PER_TASK] for begin in range(0, len(faces), PER_TASK)]
    with progress(f"hash {name}", len(faces), "face") as bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        for line in chain.from_iterable(pool.map(_manifest_lines, some)):
            manifest.update(line)
            bar.update()
    return Listing(tuple(faces), manifest.hexdigest())


def _refuse_repeated_ids(name: str, faces: Sequence[FaceImage]) -> None:
    seen: set[str] = set()
    repeated = [face.id for face in faces if face.id in seen or seen.add(face.id)]  # type: ignore[func-returns-value]
    if repeated:
        more = f" and {len(repeated) - 5} more" if len(repeated) > 5 else ""
        raise UsageError(
            f"{name}: these ids occur more than once: {', '.join(repeated[:5])}{more}. Ids must be unique."
        )


def _manifest_lines(faces: Sequence[FaceImage]) -> list[bytes]:
    """Everything about each face that a table depends on."""
    return [
        canonical_json(
            [f.id, f.split, f.label, f.votes, f.subject, f.group, f.box, _fingerprint(f).hex()],
        ).encode()
        + b"\n"
        for f in faces
    ]


def _fingerprint(face: FaceImage) -> bytes:
    if face.fingerprint is not None:
        return face.fingerprint
    try:
        data = face.read()
    except OSError:
        return ABSENT
    return hashlib.sha256(data if isinstance(data, bytes) else data.tobytes()).digest()
