"""FER2013: grey faces of 48 pixels, from `fer2013.csv` or from class folders."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

from fercache.datasets import Dataset, Expected, FaceImage, check_domain, face_file
from fercache.errors import UsageError
from fercache.expressions import aliases_of
from fercache.layouts.folders import images_by_class
from fercache.layouts.pixel_rows import find_rows, read_row

FILES = ("fer2013.csv", "icml_face_data.csv")

_EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
_LABELS = {str(number): name for number, name in enumerate(_EXPRESSIONS)}
_SPLITS = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
_NEEDED = {"train", "test"}
_COUNTS = {
    "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "validation": (467, 56, 496, 895, 653, 415, 607),
    "test": (491, 55, 528, 879, 594, 416, 626),
}


class Fer2013(Dataset):
    """PublicTest is validation, PrivateTest is test. Folders combine both as test unless there is a `val` folder.

    279 faces of PublicTest and 288 of PrivateTest are pixel for pixel also in Training: score with
    `evaluate --exclude-duplicates`.
    """

    expressions: ClassVar = _EXPRESSIONS
    layout: ClassVar = (
        f"a folder with {' or '.join(FILES)} (columns emotion, pixels, Usage), or with train, test, perhaps val, each "
        "with angry, disgust, fear, happy, neutral, sad, surprise."
    )
    licence: ClassVar = "research; the photographs were collected from the web, their rights are not cleared"
    homepage: ClassVar = (
        "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"
    )
    citation: ClassVar = (
        "Goodfellow et al.: Challenges in Representation Learning: A Report on Three Machine Learning Contests. "
        "ICONIP 2013."
    )

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """Rows in order, or files by split, class and name. Raises UsageError for any other layout."""
        check_domain(self, "fer2013", domain)
        root = self.folder(root)
        table = _table(root)
        if table is not None:
            return _rows(table)
        if not set(self.split_folders(root, (), _SPLITS)) >= _NEEDED:
            reason = f"{root} has neither {' nor '.join(FILES)}, nor both 'train' and 'test'."
            raise self.refuse_root(reason, root, (*FILES, "train"))
        return self._folders(root)

    def expected(self, root: Path | None, domain: str = "") -> Expected:
        """As published."""
        counts = {split: dict(zip(_EXPRESSIONS, row, strict=True)) for split, row in _COUNTS.items()}
        if root is not None and not _table(root) and "validation" not in self.split_folders(root, (), _SPLITS):
            held_out = counts.pop("validation")
            counts["test"] = {name: count + held_out[name] for name, count in counts["test"].items()}
        return counts

    def _folders(self, root: Path) -> Iterator[FaceImage]:
        for split, folder in self.split_folders(root, _NEEDED, _SPLITS).items():
            for path, label in images_by_class(folder, root, aliases_of(_EXPRESSIONS)):
                yield face_file(path, root, split, label=label)


def _table(root: Path) -> Path | None:
    return next((root / name for name in FILES if (root / name).is_file()), None)


def _rows(path: Path) -> Iterator[FaceImage]:
    for number, row in enumerate(find_rows(path, ("emotion", "Usage"))):
        emotion, usage = row.cells
        if emotion not in _LABELS or usage not in _SPLITS:
            known = ", ".join(f"{number} {name}" for number, name in _LABELS.items())
            raise UsageError(
                f"{path}, row {number + 1}: emotion '{emotion}' and usage '{usage}'. Emotions are {known}; usages are "
                f"{', '.join(_SPLITS)}. Take the original file."
            )
        yield FaceImage(
            id=f"row-{number:05d}",
            read=partial(read_row, path, row.offset),
            split=_SPLITS[usage],
            label=_LABELS[emotion],
            fingerprint=row.fingerprint,
        )


plugin = Fer2013()
