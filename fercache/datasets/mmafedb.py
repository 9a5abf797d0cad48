"""MMAFEDB: a collection of grey and coloured faces, 48 pixels, in class folders."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from fercache.datasets import Dataset, Expected, FaceImage, check_domain, face_file
from fercache.expressions import aliases_of
from fercache.layouts.folders import first_folder, images_by_class
from fercache.splits import SPLITS

_COUNTS = {
    "train": (6566, 3231, 4859, 28592, 29384, 12223, 8113),
    "validation": (1017, 656, 659, 5475, 5839, 2236, 1474),
    "test": (1041, 655, 691, 5459, 5858, 2177, 1475),
}


class MmaFedb(Dataset):
    """By its counts, FER2013 and ExpW combined, class by class: not unseen for a model trained on either.

    `fercache audit` finds the images that it shares with another dataset.
    """

    expressions: ClassVar = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
    images_of: ClassVar = ("fer2013",)
    layout: ClassVar = (
        "a folder with train, valid, test, each with angry, disgust, fear, happy, neutral, sad, surprise."
    )
    licence: ClassVar = "unknown; the photographs were collected from the web, their rights are not cleared"
    homepage: ClassVar = "https://www.kaggle.com/datasets/mahmoudima/mma-facial-expression"
    citation: ClassVar = "MMA Facial Expression, Kaggle 2020."

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """All files of the three splits, by name. Raises UsageError for any other layout."""
        check_domain(self, "mmafedb", domain)
        root = self.folder(root)
        top = first_folder(f for f in (root / "MMAFEDB", root) if (f / "train").is_dir())
        if top is None:
            raise self.refuse_root(f"{root} has no folder 'train'.", root, ("MMAFEDB/train", "train"))
        for split, folder in self.split_folders(top, SPLITS).items():
            for path, label in images_by_class(folder, top, aliases_of(self.expressions)):
                yield face_file(path, top, split, label=label)

    def expected(self, root: Path | None, domain: str = "") -> Expected:
        """As published."""
        return {split: dict(zip(self.expressions, counts, strict=True)) for split, counts in _COUNTS.items()}


plugin = MmaFedb()
