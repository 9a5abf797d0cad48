"""FERPlus: FER2013's faces with ten votes each, from folders of images or from `fer2013.csv`.

Two label files exist, `fer2013new.csv` and a `label.csv` in each folder; they differ for 1,601 images. A face has
the votes of both; which ones count is decided when labels are read.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fercache.datasets import LEFT_OUT, Dataset, Expected, FaceImage, Finding, check_domain, face_file
from fercache.errors import UsageError
from fercache.layouts.lists import csv_lines, refuse_repeated
from fercache.layouts.pixel_rows import find_rows, read_row
from fercache.votes import voted_labels

LIST = "fer2013new.csv"
PIXELS = ("fer2013.csv", "icml_face_data.csv")
FILES = ("fer2013new", "folders")
TWICE = frozenset(f"fer{number}.png" for number in ("0006953", "0011785", "0008403", "0033120"))
"""Names that occur twice in the official list."""
MOST_VOTES = 10

_EXPRESSIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
_VOTES = (*_EXPRESSIONS, "unknown", "NF")
_UNKNOWN_HERE = (-1,) * len(_VOTES)
_FOLDERS = {"train": "FER2013Train", "validation": "FER2013Valid", "test": "FER2013Test"}
_USAGES = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}

# Images per split, and faces per expression (in the order above) that have a majority, by label file.
_IMAGES = {
    "fer2013new": {"train": 28_561, "validation": 3_579, "test": 3_574},
    "folders": {"train": 28_558, "validation": 3_579, "test": 3_573},
}
_MAJORITIES = {
    "fer2013new": {
        "train": (8740, 7287, 3149, 3014, 2100, 119, 532, 119),
        "validation": (1182, 865, 415, 351, 287, 24, 62, 13),
        "test": (1090, 893, 396, 384, 273, 18, 83, 16),
    },
    "folders": {
        "train": (8733, 7284, 3136, 3022, 2098, 116, 536, 120),
        "validation": (1180, 862, 411, 348, 289, 25, 60, 16),
        "test": (1083, 892, 394, 382, 269, 16, 86, 15),
    },
}

Votes = tuple[int, ...]


class Listed(NamedTuple):
    """A line of `fer2013new.csv`: its number from 0, split, image name ("" where no face was found) and votes."""

    row: int
    split: str
    name: str
    votes: Votes


class FerPlus(Dataset):
    """Four names occur twice in `fer2013new.csv`, and the published counts include both.

    The second gets the id `<name>#2` and no votes from the folders. Folders have one image for both, the later one;
    fer0033120.png then shows no face. The 173 lines without a name are not faces either, and are left out.
    """

    expressions: ClassVar = _EXPRESSIONS
    vote_columns: ClassVar = tuple(f"{file}:{name}" for file in FILES for name in _VOTES)
    images_of: ClassVar = ("fer2013",)
    layout: ClassVar = (
        f"a folder with {LIST} beside {', '.join(_FOLDERS.values())} (images ferNNNNNNN.png, and perhaps label.csv), "
        f"or with {LIST} beside {' or '.join(PIXELS)}."
    )
    licence: ClassVar = "labels MIT; the photographs were collected from the web, their rights are not cleared"
    homepage: ClassVar = "https://github.com/microsoft/FERPlus"
    citation: ClassVar = (
        "Barsoum, Zhang, Canton Ferrer, Zhang: Training Deep Networks for Facial Expression Recognition "
        "with Crowd-Sourced Label Distribution. ICMI 2016."
    )

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """All faces, in the order of `fer2013new.csv`. Raises UsageError for any other layout and for damaged lists."""
        check_domain(self, "ferplus", domain)
        root = self.folder(root)
        in_folders = {split: _read_folder_votes(root / folder / "label.csv") for split, folder in _FOLDERS.items()}
        listed = list(_read_list(root / LIST)) if (root / LIST).is_file() else []
        if not listed and not any(in_folders.values()):
            reason = f"{root} has neither {LIST} nor a label.csv in its folders."
            raise self.refuse_root(reason, root, (LIST, *_FOLDERS.values()))
        face = self._faces_of_lines(root, listed)
        times: Counter[str] = Counter()
        for line in listed:
            if not line.name:
                continue
            times[line.name] += 1
            if times[line.name] > 1 + (line.name in TWICE):
                raise UsageError(f"{root / LIST}: {line.name} occurs {times[line.name]} times. Take another copy.")
            again = f"#{times[line.name]}" if times[line.name] > 1 else ""
            votes = line.votes + in_folders[line.split].pop(line.name, _UNKNOWN_HERE)
            yield replace(face(line), id=line.name + again, votes=votes)
        if not _has_images(root):
            return
        for split, votes_of in in_folders.items():  # the rest: everything if there is no fer2013new.csv
            for name, votes in votes_of.items():
                yield replace(face(Listed(-1, split, name, votes)), votes=_UNKNOWN_HERE + votes)

    def _faces_of_lines(self, root: Path, listed: list[Listed]) -> Callable[[Listed], FaceImage]:
        """A function from line to face: images in folders if there are any, else rows of `fer2013.csv`."""
        if _has_images(root):
            return lambda line: face_file(
                root / _FOLDERS[line.split] / line.name, root, line.split, label=None, id=line.name
            )
        path = next((root / name for name in PIXELS if (root / name).is_file()), None)
        if path is None:
            raise self.refuse_root(f"{root} has none of the images and no {' or '.join(PIXELS)}.")
        if not listed:
            raise self.refuse_root(f"{root} has {path.name} but no {LIST}, which has the names of the faces.")
        offsets = _offsets(path, listed)
        return lambda line: FaceImage(line.name, partial(read_row, path, offsets[line.row]), line.split)

    def expected(self, root: Path | None, domain: str = "") -> Expected:
        """The faces of each split, and their majorities by label file: faces have votes instead of labels."""
        listed = root is None or (root / LIST).is_file()
        return {
            split: {"": images}
            | {
                f"{file}:{name}": count
                for file in FILES
                for name, count in zip(_EXPRESSIONS, _MAJORITIES[file][split], strict=True)
            }
            for split, images in _IMAGES[FILES[0] if listed else FILES[1]].items()
        }

    def findings(self, faces: Sequence[FaceImage], root: Path | None, domain: str = "") -> list[Finding]:
        """Faces of each split, then the majorities by label file."""
        votes = np.array([face.votes for face in faces], dtype=np.int16).reshape(-1, len(self.vote_columns))
        split_of = np.array([face.split for face in faces])
        files = [file for i, file in enumerate(FILES) if (votes[:, i * len(_VOTES)] >= 0).any()]
        findings = super().findings(faces, root, domain)
        for split, expected in self.expected(root, domain).items():
            for file in files:
                found = self._majorities(votes[split_of == split], file)
                labels = [f"{file}:{name}" for name in _EXPRESSIONS]
                findings += [Finding(split, label, expected[label], n) for label, n in zip(labels, found, strict=True)]
        lines = _read_list(root / LIST) if root is not None and (root / LIST).is_file() else iter(())
        nameless = Counter(line.split for line in lines if not line.name)
        return findings + [Finding(split, f"{LEFT_OUT}: no image", None, n) for split, n in nameless.items()]

    def _majorities(self, votes: NDArray[np.int16], file: str) -> list[int]:
        labels = voted_labels(_EXPRESSIONS, votes, self.vote_columns, label_file=file)
        counts: list[int] = np.bincount(labels.index[labels.kept], minlength=len(_EXPRESSIONS)).tolist()
        return counts


def _read_list(path: Path) -> Iterator[Listed]:
    lines = csv_lines(path)
    header = [name.strip() for name in next(lines, (1, []))[1]]
    needed = ("Usage", "Image name", *_VOTES)
    missing = [name for name in needed if name not in header]
    if missing:
        raise UsageError(
            f"{path}: no column {', '.join(missing)}; there are {', '.join(header)}. Take the official file."
        )
    refuse_repeated(header, path)
    usage, image, *columns = (header.index(name) for name in needed)
    for row, (number, cells) in enumerate(lines):
        try:
            if len(cells) != len(header):
                raise ValueError(f"{len(cells)} cells below {len(header)} columns")
            yield Listed(row, _USAGES[cells[usage]], cells[image], _votes(cells[column] for column in columns))
        except (KeyError, IndexError, ValueError):
            raise UsageError(f"{path}, line {number}: not a usage, a name and ten votes: {cells}.") from None


def _votes(cells: Iterable[str]) -> Votes:
    """Raises ValueError unless the cells can be the votes of ten raters."""
    votes = tuple(map(int, cells))
    if not all(0 <= vote <= MOST_VOTES for vote in votes):
        raise ValueError(f"{votes} are not votes of {MOST_VOTES} raters")
    return votes


def _read_folder_votes(path: Path) -> dict[str, Votes]:
    """Image name -> votes, from a headerless `label.csv`: name, box (always the whole image), ten votes."""
    if not path.is_file():
        return {}
    votes_of = {}
    for number, cells in csv_lines(path):
        try:
            name, box, *votes = cells
            if not re.fullmatch(r"\(\d+, *\d+, *\d+, *\d+\)", box.strip()):
                raise ValueError(f"{box} is not a box")
            votes_of[name] = _votes(votes)
        except ValueError:
            votes = []
        if len(votes) != len(_VOTES):
            raise UsageError(f"{path}, line {number}: not a name, a box and ten votes: {cells}.")
    return votes_of


def _has_images(root: Path) -> bool:
    return any(next((root / folder).glob("*.png"), None) for folder in _FOLDERS.values())


def _offsets(path: Path, listed: list[Listed]) -> list[int]:
    """Where each line's face begins. The files are joined by position, so usages must agree row by row."""
    offsets: list[int] = []
    for row in find_rows(path, ("Usage",)):
        number = len(offsets)
        if number >= len(listed) or _USAGES.get(row.cells[0]) != listed[number].split:
            raise UsageError(f"{path}, row {number + 1}: the usage differs from {LIST}. Take the original files.")
        offsets.append(row.offset)
    if len(offsets) != len(listed):
        raise UsageError(f"{path} has {len(offsets)} rows and {LIST} has {len(listed)}. Take the original files.")
    return offsets


plugin = FerPlus()
