"""The contract of datasets, checked on a miniature with known content."""

import pickle
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fercache.datasets import ABSENT, LEFT_OUT, Dataset, FaceImage, Finding
from fercache.errors import UsageError
from fercache.expressions import EXPRESSIONS
from fercache.images.decode import decode
from fercache.splits import SPLITS
from fercache.votes import voted_labels


@dataclass(frozen=True)
class Miniature:
    """A small copy of a dataset's layout at `root`, and the true expression of every id in it (None: no label).

    `label_file` is the source of the truth, if a dataset has several.
    """

    root: Path | None
    truth: Mapping[str, str | None] = field(default_factory=dict)
    domain: str = ""
    label_file: str | None = None


def check_dataset(dataset: Dataset, miniature: Miniature) -> list[str]:
    """One sentence per broken promise of `dataset`; [] if it keeps all of them.

    Raises UsageError if the dataset refuses the miniature.
    """
    with tempfile.TemporaryDirectory() as empty:
        return _broken_promises(dataset, miniature, Path(empty))


def _broken_promises(dataset: Dataset, miniature: Miniature, empty: Path) -> list[str]:
    faces = list(dataset.faces(miniature.root, miniature.domain))
    return [
        *_about_itself(dataset),
        *_about_faces(dataset, faces),
        *_about_order(dataset, miniature, faces),
        *_about_truth(dataset, miniature, faces),
        *_about_check(dataset, miniature, faces),
        *_about_reading(faces),
        *_about_wrong_use(dataset, miniature, empty),
    ]


def _about_itself(dataset: Dataset) -> Iterator[str]:
    for name in ("licence", "homepage", "citation", "layout"):
        if not isinstance(getattr(dataset, name, None), str):
            yield f"has no {name}"
    for name in ("licence", "layout"):
        if not getattr(dataset, name, ""):
            yield f"has an empty {name}"
    if dataset.target_split not in ("", *SPLITS):
        yield f"has an unknown target split {dataset.target_split!r}"
    if not dataset.expressions or len(set(dataset.expressions)) < len(dataset.expressions):
        yield "has no expressions, or lists one twice"
    if not set(dataset.expressions) <= set(EXPRESSIONS):
        yield "has expressions that are not canonical names"
    for column in dataset.vote_columns:
        file, colon, name = column.partition(":")
        if not (file and colon and name):
            yield f"has a vote column {column}, expected FILE:NAME"
    if dataset.needs_root and dataset.may_show_faces:
        yield "may show faces, although its images are not part of the package"


def _about_faces(dataset: Dataset, faces: list[FaceImage]) -> Iterator[str]:
    ids = [face.id for face in faces]
    if len(set(ids)) < len(ids):
        yield "uses an id twice"
    for face in faces:
        if not face.id or not face.id.isprintable():
            yield f"has an id that cannot be printed: {face.id!r}"
        if face.split not in ("", *SPLITS):
            yield f"has an unknown split {face.split!r}"
        if face.label is not None and face.label not in dataset.expressions:
            yield f"has a label {face.label!r} that is not in its expressions"
        if len(face.votes or ()) != len(dataset.vote_columns):
            yield f"has {len(face.votes or ())} votes for {len(dataset.vote_columns)} columns"
        if face.votes and (min(face.votes) < -1 or max(face.votes) < 0):
            yield f"has no votes for {face.id}"
        if face.fingerprint is not None and len(_fingerprint(face)) != 32:
            yield "has a fingerprint that is not 32 bytes"
        if any("=" not in part for part in face.group.split(";") if part):
            yield f"has a group {face.group!r}, expected column=value"


def _fingerprint(face: FaceImage) -> bytes:
    return face.fingerprint() if callable(face.fingerprint) else face.fingerprint or b""


def _about_order(dataset: Dataset, miniature: Miniature, faces: list[FaceImage]) -> Iterator[str]:
    again = list(dataset.faces(miniature.root, miniature.domain))
    if [(f.id, f.split, f.label, f.votes) for f in faces] != [(f.id, f.split, f.label, f.votes) for f in again]:
        yield "lists other faces the second time"


def _labels(dataset: Dataset, faces: list[FaceImage], label_file: str | None = None) -> list[str | None]:
    """The face's own label, or the majority of its votes."""
    if not dataset.vote_columns:
        return [face.label for face in faces]
    votes = np.array([face.votes for face in faces], dtype=np.int16).reshape(len(faces), -1)
    labels = voted_labels(dataset.expressions, votes, dataset.vote_columns, label_file=label_file)
    return [labels.expressions[i] if i >= 0 else None for i in labels.index]


def _about_truth(dataset: Dataset, miniature: Miniature, faces: list[FaceImage]) -> Iterator[str]:
    if any(len(face.votes or ()) != len(dataset.vote_columns) for face in faces):
        return
    found = dict(zip([face.id for face in faces], _labels(dataset, faces, miniature.label_file), strict=True))
    for id in sorted(found.keys() ^ miniature.truth.keys()):
        yield f"{'lists an unknown' if id in found else 'leaves out'} {id}"
    for id in sorted(found.keys() & miniature.truth.keys()):
        if found[id] != miniature.truth[id]:
            yield f"labels {id} as {found[id]}, expected {miniature.truth[id]}"


def _about_check(dataset: Dataset, miniature: Miniature, faces: list[FaceImage]) -> Iterator[str]:
    if any(len(face.votes or ()) != len(dataset.vote_columns) for face in faces):
        return
    findings = dataset.check(miniature.root, miniature.domain)
    if not findings:
        yield "finds nothing in its check"
    for finding in findings:
        listed = _count(dataset, faces, finding)
        if listed is not None and finding.found != listed:
            yield f"finds {finding.found} of {finding.split} {finding.label} in its check, expected {listed}"
    if {finding.split for finding in findings} < {face.split for face in faces}:
        yield "does not check every split"


def _count(dataset: Dataset, faces: list[FaceImage], finding: Finding) -> int | None:
    """The expected count of a finding; None for entries that are not among the faces."""
    rows = [face for face in faces if finding.split in ("", face.split)]
    if finding.label.startswith(LEFT_OUT):
        return None
    if finding.label == "":
        return len(rows)
    if finding.label == ABSENT:
        return sum(face.path is not None and not Path(face.path).exists() for face in rows)
    file, colon, name = finding.label.partition(":")
    if colon:
        return _labels(dataset, rows, file).count(name)
    return [face.label or "" for face in rows].count(finding.label)


def _about_reading(faces: list[FaceImage]) -> Iterator[str]:
    for face in faces[:40]:
        copy: FaceImage = pickle.loads(pickle.dumps(face))
        first, second = (decode(f.read(), f.box) for f in (face, copy))
        if not np.array_equal(first, second):
            yield f"reads {face.id} differently the second time"


def _about_wrong_use(dataset: Dataset, miniature: Miniature, empty: Path) -> Iterator[str]:
    if dataset.needs_root:
        for root in (None, empty, empty / "absent"):
            if not _refuses(dataset, root, miniature.domain):
                yield f"does not refuse the root {root and root.name}"
    if dataset.domains is not None and not _refuses(dataset, miniature.root, "no-such-domain"):
        yield "does not refuse an unknown domain"


def _refuses(dataset: Dataset, root: Path | None, domain: str) -> bool:
    try:
        list(dataset.faces(root, domain))
    except UsageError:
        return True
    return False
