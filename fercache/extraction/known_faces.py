"""The faces of photographs: found by a detector earlier, or listed by the user."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Never

import numpy as np
from numpy.typing import NDArray

from fercache.datasets import FaceImage
from fercache.errors import FercacheError
from fercache.extraction.box_lists import read_boxes
from fercache.extraction.listing import ABSENT
from fercache.identity import content_hash
from fercache.images.alignment import Alignment, FoundFace
from fercache.images.colours import Unreadable
from fercache.policies import Which
from fercache.store.detections import FIELDS, KnownDetections

LIST = "list"
"""The name, in a table's identity, of boxes that the user lists."""
Read = Callable[[], bytes | NDArray[np.uint8]]


class KnownFaces(ABC):
    """Faces by photograph. `name` is what they are from, in messages."""

    name: str

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """What determines the faces, as JSON."""

    @abstractmethod
    def get(self, id: str, sha256: bytes) -> Sequence[FoundFace] | None:
        """The faces of a photograph; None if no one has looked for them."""


class DetectedFaces(KnownFaces):
    """Those that a detector found."""

    def __init__(self, known: KnownDetections) -> None:
        self.known, self.name = known, str(known.identity["name"])

    def identity(self) -> Mapping[str, Any]:
        """The detector's."""
        return self.known.identity

    def get(self, id: str, sha256: bytes) -> Sequence[FoundFace] | None:
        """By the photograph's content."""
        rows = self.known.get(sha256)
        return None if rows is None else [_face(row) for row in rows]


class ListedFaces(KnownFaces):
    """Those in a user's list. Raises UsageError for a malformed list."""

    def __init__(self, path: Path) -> None:
        self.boxes, self.name = read_boxes(path), path.name

    def identity(self) -> Mapping[str, Any]:
        """The boxes are in the table's identity already, face by face."""
        return {"name": LIST}

    def get(self, id: str, sha256: bytes) -> Sequence[FoundFace] | None:
        """By the photograph's id."""
        return self.boxes.get(id, ())


def known_faces(cache: Path, detector: Mapping[str, Any], asked: str) -> KnownFaces:
    """What a table's faces were made from: a detector's identity, and the list or detector that was requested."""
    return ListedFaces(Path(asked)) if detector["name"] == LIST else DetectedFaces(KnownDetections(cache, detector))


def row_of(face: FoundFace) -> NDArray[np.float64]:
    """(FIELDS,) to be stored: rounded, so that the last bits of another processor make no other table."""
    points = np.full(FIELDS - 5, np.nan)
    if face.landmarks:
        points[:] = np.ravel(face.landmarks)
    return np.concatenate([np.round(face.box, 2), [round(face.score, 4)], np.round(points, 2)])


def _face(row: NDArray[np.float64]) -> FoundFace:
    left, top, right, bottom, score, *points = row.tolist()
    landmarks = () if np.isnan(points).any() else tuple(zip(points[::2], points[1::2], strict=True))
    return FoundFace((left, top, right, bottom), score, landmarks)


@dataclass(frozen=True)
class Cutting:
    """Which of a photograph's faces become rows, and how they are cropped."""

    which: Which
    alignment: Alignment

    def faces(self, photograph: FaceImage, sha256: bytes, found: Sequence[FoundFace] | str) -> Iterator[FaceImage]:
        """Its faces, `ID#0` being the largest; or the photograph itself, which cannot be read, with the reason.

        `found` are its faces, or why there are none; the photograph's own box goes before them. The content must be
        `sha256` when it is read: else the boxes would be those of another image.
        """
        read = partial(read_same, photograph.read, photograph.id, sha256)
        one = replace(
            photograph, read=read, box=None, fingerprint=None if sha256 == ABSENT else sha256, alignment=self.alignment
        )
        chosen = found if isinstance(found, str) else self._chosen(found)
        if photograph.box is not None:
            left, top, right, bottom = photograph.box
            yield replace(one, found=FoundFace((left, top, right, bottom)))
        elif sha256 == ABSENT:
            yield one
        elif isinstance(chosen, str):
            yield replace(one, read=partial(refuse, chosen))
        else:
            for number, face in enumerate(chosen):
                yield replace(one, id=f"{photograph.id}#{number}", found=face)

    def _chosen(self, found: Sequence[FoundFace]) -> Sequence[FoundFace] | str:
        by_size = sorted(found, key=lambda face: (-face.side, -face.score, face.box, face.landmarks))
        if not by_size:
            return "no face found"
        if self.which == "single" and len(by_size) > 1:
            return f"{len(by_size)} faces instead of a single one"
        return by_size if self.which == "all" else by_size[:1]


def read_same(read: Read, id: str, sha256: bytes) -> bytes | NDArray[np.uint8]:
    """What `read` returns. Raises FercacheError unless its hash is `sha256`, OSError if it was ABSENT and still is."""
    try:
        data = read()
    except OSError as error:
        if sha256 == ABSENT:
            raise
        raise FercacheError(
            f"{id} could be read when it was listed, but not later: {error.strerror or error}. All machines of a "
            "cluster must see the same files. Run the same command again: what was finished is kept."
        ) from error
    if content_hash(data) != sha256:
        raise FercacheError(
            f"{id} changed after it was searched for faces. Run the same command again when nothing writes to the "
            "dataset any more: what was finished is kept."
        )
    return data


def refuse(reason: str) -> Never:
    """Instead of reading a photograph. Raises Unreadable."""
    raise Unreadable(reason)
