"""RAF-DB (basic): real-world faces with one of seven expressions, aligned to 100 x 100 pixels."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from fercache.datasets import Dataset, Expected, FaceImage, check_domain, face_file
from fercache.errors import UsageError
from fercache.layouts.folders import files_in, first_folder, refuse_unlabelled, subfolders
from fercache.layouts.lists import csv_lines

LIST = Path("EmoLabel", "list_patition_label.txt")  # the authors' spelling

_EXPRESSIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
_LABELS = {str(number): name for number, name in enumerate(_EXPRESSIONS, start=1)}
_COUNTS = {"train": (1290, 281, 717, 4772, 1982, 705, 2524), "test": (329, 74, 160, 1185, 478, 162, 680)}
_ORDER = ", ".join(f"{number} {name}" for number, name in _LABELS.items())


class RafDb(Dataset):
    """Labels are 1 to 7. Copies with folders 0 to 6 (0 neutral) use another order and are refused.

    Without aligned images, the whole original ones are used.
    """

    expressions: ClassVar = _EXPRESSIONS
    layout: ClassVar = (
        f"the folder 'basic' as it comes ({LIST.as_posix()} and Image/aligned/train_00001_aligned.jpg), or a folder "
        f"with train and test, each with folders 1 to 7 ({_ORDER}), perhaps below DATASET and beside train_labels.csv."
    )
    licence: ClassVar = "academic use on request; no redistribution"
    homepage: ClassVar = "http://www.whdeng.cn/raf/model1.html"
    citation: ClassVar = (
        "Li, Deng, Du: Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in the "
        "Wild. CVPR 2017."
    )

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """Faces in the list's order, or by folder and name. Raises UsageError for any other layout."""
        check_domain(self, "rafdb", domain)
        root = self.folder(root)
        official = first_folder(f for f in (root, root / "basic") if (f / LIST).is_file())
        if official is not None:
            return self._listed(official)
        numbered = first_folder(f for f in (root, root / "DATASET") if (f / "train").is_dir())
        if numbered is None:
            reason = f"{root} has neither {LIST.as_posix()} nor a folder 'train'."
            raise self.refuse_root(reason, root, (LIST.as_posix(), "train"))
        return self._numbered(numbered, root)

    def expected(self, root: Path | None, domain: str = "") -> Expected:
        """As published."""
        return {split: dict(zip(_EXPRESSIONS, counts, strict=True)) for split, counts in _COUNTS.items()}

    def _listed(self, root: Path) -> Iterator[FaceImage]:
        aligned = (root / "Image" / "aligned").is_dir()
        folder = root / "Image" / ("aligned" if aligned else "original")
        if not folder.is_dir():
            raise self.refuse_root(f"{root} has {LIST.as_posix()}, but neither Image/aligned nor Image/original.")
        text = (root / LIST).read_text(encoding="utf-8-sig", errors="surrogateescape")
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            name, *labels = line.split()
            label, split = labels[0] if len(labels) == 1 else "", name.partition("_")[0]
            if label not in _LABELS or split not in _COUNTS or Path(name).name != name or not name.isprintable():
                raise UsageError(
                    f"{root / LIST}, line {number}: {line!r} is not one name and one label, as in 'train_00001.jpg 5'. "
                    f"Labels are {_ORDER}. Take the original list."
                )
            path = folder / (f"{Path(name).stem}_aligned.jpg" if aligned else name)
            yield face_file(path, root, split, label=_LABELS[label], id=name)

    def _numbered(self, root: Path, above: Path) -> Iterator[FaceImage]:
        """Faces in numbered folders; optional lists are beside the folders or beside `DATASET`."""
        for split, folder in self.split_folders(root, _COUNTS).items():
            refuse_unlabelled(folder, root)
            folders = subfolders(folder, root)
            names = [numbered.name for numbered in folders]
            if "0" in names:
                raise self.refuse_root(
                    f"{folder} has a folder '0'. This is a known repack that counts from 0 = neutral, in a different "
                    "order from RAF-DB's own 1 to 7; every label would be wrong."
                )
            if not names or not set(names) <= set(_LABELS):
                raise self.refuse_root(f"{folder} has the folders {', '.join(names) or '(none)'}.")
            lists = (root / f"{folder.name}_labels.csv", above / f"{folder.name}_labels.csv")
            listed = next((_read_list(path) for path in lists if path.is_file()), {})
            for numbered in folders:
                for path in files_in(numbered, root):
                    if listed.pop(path.name, numbered.name) != numbered.name:
                        raise UsageError(
                            f"{path} is in folder {numbered.name}, but {folder.name}_labels.csv has another label. "
                            "Either may be wrong: take another copy."
                        )
                    yield face_file(path, root, split, label=_LABELS[numbered.name])
            for name, label in listed.items():  # the rest is absent, and reported
                yield face_file(folder / label / name, root, split, label=_LABELS[label])


def _read_list(path: Path) -> dict[str, str]:
    """Image -> label, from a list `image,label`, with or without a header."""
    label_of: dict[str, str] = {}
    for number, cells in csv_lines(path):
        if number == 1 and [cell.strip().lower() for cell in cells] == ["image", "label"]:
            continue
        if len(cells) != 2 or cells[1] not in _LABELS or cells[0] in label_of:
            raise UsageError(f"{path}, line {number}: {cells} is not one new image and its label. Labels are {_ORDER}.")
        label_of[cells[0]] = cells[1]
    return label_of


plugin = RafDb()
