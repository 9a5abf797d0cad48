"""CK+: posed sequences from neutral to the peak of an expression, by 123 subjects."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from fercache.datasets import Dataset, Expected, FaceImage, check_domain, face_file
from fercache.errors import UsageError
from fercache.expressions import aliases_of
from fercache.layouts.folders import class_name, first_folder, images_by_class, subfolders, visible

IMAGES = "cohn-kanade-images"
FOLDERS = "CK+48"
PEAK_FRAMES = 3
MARGIN = 0.25
"""Margin around the landmarks as a share of their height: they leave out the forehead."""

_EXPRESSIONS = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
_LABELS = dict(enumerate(_EXPRESSIONS[:7], start=1))
_SEQUENCES = dict(zip(_LABELS.values(), (45, 18, 59, 25, 69, 28, 83), strict=True))
_SPLIT_OF_FOLD = (*("train",) * 7, "validation", *("test",) * 2)

Box = tuple[int, int, int, int]


class CkPlus(Dataset):
    """The last three frames of each labelled sequence show its expression; the first frame is neutral.

    No split is published. Ours is by subject: of every ten in order, seven are train, one is validation and two are
    test; as a target, all faces count unless the run was trained on CK+. Whole frames are cropped by the landmarks,
    if present. `CK+48` has the same peak frames, cropped to 48 pixels; only some copies have neutral faces.
    """

    expressions: ClassVar = _EXPRESSIONS
    target_split: ClassVar = ""
    layout: ClassVar = (
        f"a folder with {IMAGES}/S005/001/*.png and Emotion/S005/001/*_emotion.txt, perhaps Landmarks, or {FOLDERS} "
        "with anger, contempt, disgust, fear, happy, sadness, surprise."
    )
    licence: ClassVar = "academic use on request; only some subjects may be shown in print"
    homepage: ClassVar = "https://www.jeffcohn.net/Resources/"
    citation: ClassVar = (
        "Lucey, Cohn, Kanade, Saragih, Ambadar, Matthews: The Extended Cohn-Kanade Dataset (CK+): A Complete Dataset "
        "for Action Unit and Emotion-Specified Expression. CVPR Workshops 2010."
    )

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """Frames by sequence, or files by class and name. Raises UsageError for any other layout."""
        check_domain(self, "ckplus", domain)
        root = self.folder(root)
        cropped = _cropped(root)
        if cropped is not None:
            found = list(_faces_of_folders(cropped))
        elif (root / IMAGES).is_dir() and (root / "Emotion").is_dir():
            found = list(_faces_of_sequences(root))
        else:
            reason = f"{root} has neither {IMAGES} with Emotion nor {FOLDERS}."
            raise self.refuse_root(reason, root, (IMAGES, FOLDERS))
        subjects = sorted({subject for _, _, subject, _ in found})
        split_of = {subject: _SPLIT_OF_FOLD[i % len(_SPLIT_OF_FOLD)] for i, subject in enumerate(subjects)}
        below = cropped or root
        for path, label, subject, box in found:
            yield face_file(path, below, split_of[subject], label=label, subject=subject, box=box)

    def expected(self, root: Path | None, domain: str = "") -> Expected:
        """Faces of each expression over all splits, since the splits are ours."""
        counts = {name: PEAK_FRAMES * count for name, count in _SEQUENCES.items()}
        cropped = _cropped(root) if root is not None else None
        if cropped is None or any(class_name(folder) == "neutral" for folder in subfolders(cropped, cropped)):
            counts["neutral"] = sum(_SEQUENCES.values())
        return {"": counts}


def _cropped(root: Path) -> Path | None:
    return first_folder(f for f in (root / FOLDERS, root) if f.name == FOLDERS or (f / "contempt").is_dir())


def _faces_of_folders(folder: Path) -> Iterator[tuple[Path, str, str, Box | None]]:
    for path, label in images_by_class(folder, folder, aliases_of(_EXPRESSIONS)):
        yield path, label, _subject_of(path.name, path), None


def _faces_of_sequences(root: Path) -> Iterator[tuple[Path, str, str, Box | None]]:
    for subject in subfolders(root / IMAGES, root):
        for sequence in subfolders(subject, root):
            label = _label_of(root / "Emotion" / subject.name / sequence.name, root)
            frames = [path for path in visible(sequence, root) if path.suffix.lower() == ".png"]
            if label is None:
                continue
            if len(frames) <= PEAK_FRAMES:
                raise UsageError(f"{sequence} has {len(frames)} frames; expected: more than {PEAK_FRAMES}.")
            for path, shown in [(frames[0], "neutral"), *((frame, label) for frame in frames[-PEAK_FRAMES:])]:
                yield path, shown, _subject_of(subject.name, path), _box(root, path)


def _label_of(folder: Path, root: Path) -> str | None:
    """The expression of a sequence; None for sequences without a label."""
    files = [f for f in visible(folder, root) if f.name.endswith("_emotion.txt")] if folder.is_dir() else []
    if not files:
        return None
    text = files[0].read_text(encoding="ascii", errors="replace").strip()
    try:
        return _LABELS[int(float(text))]
    except (ValueError, KeyError, OverflowError):
        known = ", ".join(f"{number} {name}" for number, name in _LABELS.items())
        raise UsageError(f"{files[0]}: '{text[:40]}' is not one of {known}.") from None


def _subject_of(name: str, path: Path) -> str:
    subject = name.partition("_")[0]
    if subject[:1] != "S" or not subject[1:].isdecimal():
        raise UsageError(f"{path}: expected a name that begins with the subject, such as S005_001_00000011.png.")
    return subject


def _box(root: Path, frame: Path) -> Box | None:
    """The box around a frame's landmarks, if there are any, with a margin that includes the forehead."""
    path = root / "Landmarks" / frame.parent.parent.name / frame.parent.name / f"{frame.stem}_landmarks.txt"
    if not path.is_file():
        return None
    try:
        points = np.loadtxt(path, dtype=np.float64, ndmin=2)
        if points.shape[1] != 2:
            raise ValueError(f"{points.shape[1]} columns")
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        margin = MARGIN * (bottom - top)
        return round(left - margin), round(top - 1.5 * margin), round(right + margin), round(bottom + margin / 2)
    except (ValueError, IndexError, OverflowError):
        raise UsageError(f"{path}: expected lines of x and y.") from None


plugin = CkPlus()
