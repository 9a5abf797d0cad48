"""What is to be encoded: the faces of a set in their order, and a hash that changes whenever any of them does."""

import hashlib
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

from fercache.datasets import FaceImage
from fercache.errors import UsageError
from fercache.identity import canonical_json
from fercache.progress import progress

PER_TASK = 256
NAMED = 10
"""Absent images that a message names; the quarantine list has all."""
ABSENT = bytes(32)
"""Stands for a file that cannot be read; it becomes a line of the quarantine list."""


@dataclass(frozen=True)
class Listing:
    """All faces of a set, and the hash of what they are and how they are labelled."""

    faces: tuple[FaceImage, ...]
    manifest_hash: str


def list_faces(name: str, faces: Sequence[FaceImage]) -> Listing:
    """Reads every image once to hash it, and reports all that are listed but not there in one go.

    Raises UsageError for an empty set, an id that occurs twice, and a set of which no image is there.
    """
    if not faces:
        raise UsageError(f"{name}: no face images found. Look at `fercache datasets show {name.partition(':')[0]}`.")
    _refuse_repeated_ids(name, faces)
    manifest = hashlib.sha256()
    absent: list[str] = []
    some = [faces[begin : begin + PER_TASK] for begin in range(0, len(faces), PER_TASK)]
    with progress(f"hash {name}", len(faces), "face") as bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        for face, fingerprint in zip(faces, chain.from_iterable(pool.map(_fingerprints, some)), strict=True):
            manifest.update(_manifest_line(face, fingerprint))
            absent += [face.id] if fingerprint == ABSENT else []
            bar.update()
    _report_absent(name, absent, len(faces))
    return Listing(tuple(faces), manifest.hexdigest())


def _refuse_repeated_ids(name: str, faces: Sequence[FaceImage]) -> None:
    seen: set[str] = set()
    repeated = [face.id for face in faces if face.id in seen or seen.add(face.id)]  # type: ignore[func-returns-value]
    if repeated:
        more = f" and {len(repeated) - 5} more" if len(repeated) > 5 else ""
        raise UsageError(
            f"{name}: these ids occur more than once: {', '.join(repeated[:5])}{more}. Ids must be unique."
        )


def _report_absent(name: str, absent: Sequence[str], listed: int) -> None:
    if not absent:
        return
    some = ", ".join(absent[:NAMED]) + (f" and {len(absent) - NAMED} more" if len(absent) > NAMED else "")
    if len(absent) == listed:
        raise UsageError(f"{name}: none of its {listed} images can be read, such as {some}. Is the root right?")
    where = "They go to the quarantine list beside the table."
    print(f"warning: {name}: {len(absent)} of {listed} images cannot be read: {some}. {where}", file=sys.stderr)


def _manifest_line(face: FaceImage, fingerprint: bytes) -> bytes:
    """Everything about a face that a table depends on."""
    about = [face.id, face.split, face.label, face.votes, face.subject, face.group, face.box, fingerprint.hex()]
    return canonical_json(about).encode() + b"\n"


def _fingerprints(faces: Sequence[FaceImage]) -> list[bytes]:
    return [_fingerprint(face) for face in faces]


def _fingerprint(face: FaceImage) -> bytes:
    if isinstance(face.fingerprint, bytes):
        return face.fingerprint
    try:
        if face.fingerprint is not None:
            return face.fingerprint()
        data = face.read()
    except OSError:
        return ABSENT
    return hashlib.sha256(data if isinstance(data, bytes) else data.tobytes()).digest()
