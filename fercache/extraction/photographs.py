"""Photographs -> faces: every photograph is hashed, the new ones are searched for faces, and their faces are listed."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.datasets import FaceImage
from fercache.detectors import AUTO, DEFAULT, Detector, load_detector
from fercache.errors import UsageError
from fercache.extraction.known_faces import Cutting, DetectedFaces, KnownFaces, ListedFaces, read_same, row_of
from fercache.extraction.listing import ABSENT, NAMED, PER_TASK
from fercache.extraction.packed_faces import remembered
from fercache.extraction.threads import in_threads
from fercache.identity import content_hash
from fercache.images.alignment import Alignment
from fercache.images.colours import Unreadable
from fercache.images.decode import decode
from fercache.layouts.own_lists import is_list
from fercache.layouts.remote import address_of
from fercache.options.extract import ExtractRequest
from fercache.runtime.progress import progress
from fercache.store.detections import FIELDS, Faces, KnownDetections

AT_ONCE = 128
"""Most photographs whose detections are lost when the process is killed."""
Found = Faces | str
"""The faces of a photograph, or why it cannot be searched."""
Looked = Iterator[tuple[bytes, Found]]


@dataclass(frozen=True)
class Photographs:
    """The photographs of a dataset and the hash of each one's file (N, 32); ABSENT if it cannot be read."""

    name: str
    listed: Sequence[FaceImage]
    sha256: NDArray[np.uint8]

    @classmethod
    def hashed(cls, name: str, listed: Sequence[FaceImage]) -> "Photographs":
        """Reads every photograph."""
        sha256, workers = np.empty((len(listed), 32), np.uint8), os.cpu_count() or 1
        hashes = in_threads(listed, _hash, workers, per_task=PER_TASK, ahead=2 * workers * PER_TASK)
        with progress(f"hash {name}", len(listed), "photograph") as bar:
            for row, (_, found) in enumerate(hashes):
                sha256[row] = np.frombuffer(found, np.uint8)
                bar.update()
        return cls(name, listed, sha256)

    def __iter__(self) -> Iterator[tuple[FaceImage, bytes]]:
        for photograph, sha256 in zip(self.listed, self.sha256, strict=True):
            yield photograph, sha256.tobytes()


def _hash(photograph: FaceImage) -> bytes:
    try:
        return content_hash(photograph.read())
    except OSError:
        return ABSENT


def resolved(faces: str) -> str:
    """A detector or a list of boxes, named so that every folder and machine understands it."""
    if is_list(faces):
        return address_of(Path(faces)) or str(Path(faces).resolve())
    detector, colon, file = faces.partition(":")
    return f"{detector}:{Path(file).resolve()}" if file else (DEFAULT if faces == AUTO else detector + colon)


def find_faces(
    name: str, listed: Sequence[FaceImage], cache: Path, request: ExtractRequest
) -> tuple[Sequence[FaceImage], dict[str, Any]]:
    """The faces of the `listed` photographs of a dataset, by `request.faces`, and what a table's identity says of it.

    A photograph without a face that fits is among them; it cannot be read, and has the reason. Detections are kept in
    the cache. Raises UsageError for a wrong detector or list, and if there is no face at all.
    """
    asked, cutting = str(request.faces), Cutting(request.which, Alignment())
    known: KnownFaces
    if is_list(asked):
        known = ListedFaces(Path(asked))
        photographs, reasons = Photographs.hashed(name, listed), {}
    else:
        detector = load_detector(asked)
        known = DetectedFaces(KnownDetections(cache, detector.identity()))
        photographs = Photographs.hashed(name, listed)
        reasons = _search(photographs, detector, known.known, request=request)
    faces = remembered(_cut(photographs, known, reasons, cutting=cutting))
    _report(photographs, faces, known)
    return faces, {"detector": dict(known.identity()), "alignment": cutting.alignment.identity()}


def _cut(
    photographs: Photographs, known: KnownFaces, reasons: Mapping[bytes, str], cutting: Cutting
) -> Iterator[FaceImage]:
    for photograph, sha256 in photographs:
        found = known.get(photograph.id, sha256)
        yield from cutting.faces(photograph, sha256, reasons.get(sha256, "") if found is None else found)


def _report(photographs: Photographs, faces: Sequence[FaceImage], known: KnownFaces) -> None:
    """Warns of photographs without a face. Raises UsageError if all are, or the list names none of them."""
    without = [face for face in faces if face.found is None and face.fingerprint is not None]
    if isinstance(known, ListedFaces):
        _refuse_other_images(photographs, known)
    if not without:
        return
    some = ", ".join(f"{face.id} ({_reason(face)})" for face in without[:NAMED])
    more = f" and {len(without) - NAMED} more" if len(without) > NAMED else ""
    if len(without) == len(faces):
        raise UsageError(
            f"{photographs.name}: no face in any of its {len(faces)} photographs, by {known.name}: {some}{more}. If "
            "its images are crops of faces: --faces none."
        )
    print(
        f"warning: {photographs.name}: {len(without)} of {len(photographs.listed)} photographs are left out: "
        f"{some}{more}. They go to the quarantine list beside the table.",
        file=sys.stderr,
    )


def _reason(face: FaceImage) -> str:
    try:
        face.read()
    except Unreadable as error:
        return str(error)
    return ""


def _refuse_other_images(photographs: Photographs, known: ListedFaces) -> None:
    others = known.boxes.keys() - {photograph.id for photograph in photographs.listed}
    if not others:
        return
    what = f"{known.name} lists {len(others)} images that {photographs.name} lacks, such as {min(others)}"
    like = f"Its images are named like {photographs.listed[0].id}, relative to the root."
    if len(others) == len(known.boxes):
        raise UsageError(f"{what}. {like}")
    print(f"warning: {what}. {like}", file=sys.stderr)


def _search(
    photographs: Photographs, detector: Detector, known: KnownDetections, request: ExtractRequest
) -> dict[bytes, str]:
    """Looks for faces where no one has yet, and stores them; returns why some photographs cannot be searched."""
    new = {
        sha256: replace(photograph, read=partial(read_same, photograph.read, photograph.id, sha256))
        for photograph, sha256 in photographs
        if sha256 != ABSENT and photograph.box is None and known.get(sha256) is None
    }
    if not new:
        return {}
    if request.engine == "ray":
        from fercache.extraction.cluster import search_on_cluster

        looked = search_on_cluster(new, str(request.faces), known.identity, address=request.address)
    else:
        looked = _search_here(new, detector)
    return _stored(photographs.name, len(new), looked, known=known)


def _stored(name: str, count: int, looked: Looked, known: KnownDetections) -> dict[bytes, str]:
    """Stores detections as they come; returns the reasons of photographs that cannot be searched."""
    reasons: dict[bytes, str] = {}
    waiting: dict[bytes, Faces] = {}
    with progress(f"detect {name}", count, "photograph") as bar:
        try:
            for sha256, found in looked:
                if isinstance(found, str):
                    reasons[sha256] = found
                else:
                    waiting[sha256] = found
                if len(waiting) == AT_ONCE:
                    known.add(waiting)
                    waiting = {}
                bar.update()
        finally:  # also what was found before an interrupt
            known.add(waiting)
    return reasons


def _search_here(new: Mapping[bytes, FaceImage], detector: Detector) -> Looked:
    from fercache.extraction.local import one_core_each

    workers = os.cpu_count() or 1
    with one_core_each():
        found = in_threads(new.values(), partial(search, detector=detector), workers, per_task=1, ahead=4 * workers)
        for sha256, (_, faces) in zip(new, found, strict=True):
            yield sha256, faces


def search(photograph: FaceImage, detector: Detector) -> Found:
    """The faces in a photograph, or why it cannot be decoded. Raises FercacheError if it can no longer be read."""
    try:
        found = detector.find(decode(photograph.read()))
    except Unreadable as error:
        return str(error)
    return np.array([row_of(face) for face in found], np.float64).reshape(-1, FIELDS)
