"""SFEW 2.0: frames of films, aligned faces in class folders. Labels of its test split are not public."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from fercache.datasets import Dataset, Expected, FaceImage, check_domain, face_file
from fercache.expressions import aliases_of
from fercache.layouts.folders import first_folder, images_by_class

_FOLDERS = {"train": "Train", "validation": "Val"}
_COUNTS = {"train": 891, "validation": 431}


class Sfew(Dataset):
    """Papers quote 958 and 436 frames; 891 and 431 have an aligned face. CAFE's figures fit the 891: `sfew@train`."""

    expressions: ClassVar = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
    target_split: ClassVar = "validation"
    layout: ClassVar = (
        "a folder with Train/Train_Aligned_Faces and Val/Val_Aligned_Faces, or these two folders directly "
        "(the second may be Val_Aligned_Faces_new), each with Angry, Disgust, Fear, Happy, Neutral, Sad, Surprise."
    )
    licence: ClassVar = "academic use on request"
    homepage: ClassVar = "https://users.cecs.anu.edu.au/~few_group/AFEW.html"
    citation: ClassVar = (
        "Dhall, Goecke, Lucey, Gedeon: Static Facial Expression Analysis in Tough Conditions: Data, Evaluation "
        "Protocol and Benchmark. ICCV Workshops 2011."
    )

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """The aligned faces of both splits, by name. Raises UsageError for any other layout."""
        check_domain(self, "sfew", domain)
        root = self.folder(root)
        folders = {split: _aligned(root, name) for split, name in _FOLDERS.items()}
        missing = [name for split, name in _FOLDERS.items() if folders[split] is None]
        if missing:
            reason = f"{root} has no aligned faces of {' and '.join(missing)}."
            raise self.refuse_root(reason, root, ("Train", "Train_Aligned_Faces"))
        for split, folder in folders.items():
            if folder is not None:
                for path, label in images_by_class(folder, root, aliases_of(self.expressions)):
                    yield face_file(path, root, split, label=label)

    def expected(self, root: Path | None, domain: str = "") -> Expected:
        """Aligned faces of each split; counts by expression are not published."""
        return {split: {"": count} for split, count in _COUNTS.items()}


def _aligned(root: Path, name: str) -> Path | None:
    return first_folder(top / f"{name}_Aligned_Faces{suffix}" for top in (root / name, root) for suffix in ("", "_new"))


plugin = Sfew()
