"""What to encode: the faces of a dataset in order, and a hash that changes with any of them."""

import hashlib
import os
import sys
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.datasets import FaceImage
from fercache.errors import FercacheError, UsageError
from fercache.extraction.threads import in_threads
from fercache.identity import canonical_json, content_hash, hashed_alike
from fercache.runtime.progress import progress
from fercache.store.schema import Columns, Quarantined

PER_TASK = 256
"""Faces per hashing task."""
NAMED = 10
"""Absent images named in a message; the quarantine list has all."""
ABSENT = bytes(32)
"""The fingerprint of a file that cannot be read; it becomes a line of the quarantine list."""
UNREAD = "cannot be read"
"""Prefix of the reason in such a line."""


@dataclass(frozen=True)
class Listing:
    """All faces of a dataset, the hash of their contents and labels, and the hash of each image's file (N, 32)."""

    faces: Sequence[FaceImage]
    manifest_hash: str
    fingerprints: NDArray[np.uint8]
    splits: frozenset[str]

    def faces_of(self, rows: range) -> Sequence[FaceImage]:
        """The faces of these rows."""
        return self.faces[rows.start : rows.stop]

    def check_unchanged(self, rows: range, columns: Columns, quarantined: Sequence[Quarantined]) -> None:
        """Raises FercacheError if an image of `rows` has changed, or became unreadable, since it was listed.

        Its row would be wrong, or lost, under the key of the listed image. Images that were listed without being read
        are not checked.
        """
        encoded = dict(zip(columns.id, columns.file_sha256, strict=True))
        reasons = {face.id: face.reason for face in quarantined}
        for row, face in zip(rows, self.faces_of(rows), strict=True):
            listed = self.fingerprints[row].tobytes()
            if face.fingerprint is not None:
                continue
            reason = reasons.get(face.id)
            if (encoded[face.id].tobytes() if reason is None else _fingerprint(face)) != listed:
                raise FercacheError(
                    f"The image of {face.id} changed during extraction. Run the same command again when nothing writes "
                    "to the dataset any more; extraction restarts, since the dataset changed."
                )
            if listed != ABSENT and reason is not None and reason.startswith(UNREAD):
                raise FercacheError(
                    f"{face.id} could be read when it was listed, but not later: {reason}. "
                    "Run the same command again: what was finished is kept."
                )


def list_faces(name: str, faces: Sequence[FaceImage]) -> Listing:
    """Reads every image once to hash it, and reports all absent images together. A few `faces` at a time are unpacked.

    Raises UsageError for an empty dataset, repeated ids, text that no table can hold, and if all images are absent.
    """
    if not faces:
        raise UsageError(f"{name}: no face images found. Look at `fercache datasets show {name.partition(':')[0]}`.")
    _refuse_repeated_ids(name, faces)
    manifest, fingerprints = hashlib.sha256(), np.empty((len(faces), 32), np.uint8)
    absent, splits, workers = list[FaceImage](), set[str](), os.cpu_count() or 1
    hashed = in_threads(faces, _fingerprint, workers, per_task=PER_TASK, ahead=2 * workers * PER_TASK)
    with progress(f"hash {name}", len(faces), "face") as bar:
        for row, (face, fingerprint) in enumerate(hashed):
            manifest.update(_manifest_line(face, fingerprint))
            fingerprints[row] = np.frombuffer(fingerprint, np.uint8)
            absent += [face] if fingerprint == ABSENT else []
            splits.add(face.split)
            bar.update()
    _report_absent(name, absent, len(faces))
    return Listing(faces, manifest.hexdigest(), fingerprints, frozenset(splits))


def _refuse_repeated_ids(name: str, faces: Sequence[FaceImage]) -> None:
    alike = hashed_alike(array("q", (hash(face.id) for face in faces)))
    if not alike:
        return
    counts = Counter(face.id for face in faces if hash(face.id) in alike)
    repeated = [id for id, count in counts.items() if count > 1]
    if repeated:
        more = f" and {len(repeated) - 5} more" if len(repeated) > 5 else ""
        raise UsageError(
            f"{name}: these ids occur more than once: {', '.join(repeated[:5])}{more}. Ids must be unique."
        )


def _report_absent(name: str, absent: Sequence[FaceImage], listed: int) -> None:
    """With the reason: a missing file is another mistake than missing permissions."""
    if not absent:
        return
    some = ", ".join(f"{face.id} ({_why_unread(face)})" for face in absent[:NAMED])
    more = f" and {len(absent) - NAMED} more" if len(absent) > NAMED else ""
    if len(absent) == listed:
        raise UsageError(f"{name}: none of its {listed} images can be read: {some}{more}. Is the root right?")
    where = "They go to the quarantine list beside the table."
    print(f"warning: {name}: {len(absent)} of {listed} images cannot be read: {some}{more}. {where}", file=sys.stderr)


def _why_unread(face: FaceImage) -> str:
    try:
        face.read()
    except OSError as error:
        return error.strerror or str(error)
    return "absent a moment ago"


def _manifest_line(face: FaceImage, fingerprint: bytes) -> bytes:
    """Everything about a face that affects its table. Raises UsageError for text that a table cannot hold."""
    about: list[Any] = [
        face.id,
        face.split,
        face.label,
        face.votes,
        face.subject,
        face.group,
        face.box,
        fingerprint.hex(),
    ]
    if face.found is not None and face.alignment is not None:
        about += [asdict(face.found), face.alignment.identity()]
    try:
        line = canonical_json(about).encode()
    except UnicodeEncodeError:
        raise UsageError(f"{face.id!r}: its id, split, subject or group is not UTF-8. Rename it.") from None
    if "\0" in face.id + face.split + face.subject + face.group:
        raise UsageError(f"{face.id!r}: its id, split, subject or group contains a NUL character. Rename it.")
    return line + b"\n"


def _fingerprint(face: FaceImage) -> bytes:
    if isinstance(face.fingerprint, bytes):
        return face.fingerprint
    try:
        if face.fingerprint is not None:
            return face.fingerprint()
        return content_hash(face.read())
    except OSError:
        return ABSENT
