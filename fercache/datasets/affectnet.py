"""AffectNet (manually annotated): faces from the web, as lists with boxes or as images with npy annotations."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import ClassVar

import numpy as np

from fercache.datasets import LEFT_OUT, Dataset, Expected, FaceImage, Finding, check_domain, face_file
from fercache.errors import UsageError
from fercache.layouts.folders import first_folder, visible
from fercache.layouts.lists import csv_lines, refuse_repeated
from fercache.runtime.progress import progress

LISTS = "Manually_Annotated_file_lists"
IMAGES = "Manually_Annotated_Images"
BETWEEN = "Manually_Annotated"
EXPRESSION_FILE = "_exp.npy"
NPY_FOLDERS = {"train": "train_set", "validation": "val_set"}

_EXPRESSIONS = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
LAST_NUMBER = 10
NO_EXPRESSION, NO_BOX = "8 none, 9 uncertain, 10 no face", "no face box"
COLUMNS = (
    *("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height"),
    *("facial_landmarks", "expression", "valence", "arousal"),
)
_TRAIN = (74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750)
LARGEST_ANNOTATION = 4096
"""Bytes; a number and its numpy header take a few hundred."""
ANOTHER = "Take another copy."
_VALIDATION = {"lists": (500,) * 8, "npy": (*(500,) * 7, 499)}

LeftOut = Counter[tuple[str, str]]
"""Lines by split and reason."""


class AffectNet(Dataset):
    """Lines without one of the eight expressions (8 none, 9 uncertain, 10 no face) or without a box are left out.

    The test split is not public; papers score on validation.
    """

    expressions: ClassVar = _EXPRESSIONS
    target_split: ClassVar = "validation"
    layout: ClassVar = (
        f"a folder with {LISTS} (training.csv, validation.csv) and {IMAGES}, perhaps below {BETWEEN}; or with "
        f"{' and '.join(NPY_FOLDERS.values())}, each with images/<id>.jpg and annotations/<id>_exp.npy."
    )
    licence: ClassVar = "academic use on request; no redistribution"
    homepage: ClassVar = "http://mohammadmahoor.com/pages/databases/affectnet/"
    citation: ClassVar = (
        "Mollahosseini, Hasani, Mahoor: AffectNet: A Database for Facial Expression, Valence, and Arousal Computing in "
        "the Wild. IEEE Transactions on Affective Computing 2017."
    )

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """Lines of the lists in order, or files by number. Raises UsageError for any other layout."""
        return self._faces(root, domain, Counter())

    def expected(self, root: Path | None, domain: str = "") -> Expected:
        """As published."""
        validation = _VALIDATION["lists" if root is None or _lists(root) else "npy"]
        counts = {"train": _TRAIN, "validation": validation}
        return {split: dict(zip(_EXPRESSIONS, row, strict=True)) for split, row in counts.items()}

    def check(self, root: Path | None, domain: str = "") -> list[Finding]:
        """As for every dataset, and how many lines were left out and why."""
        left_out: LeftOut = Counter()
        faces = list(self._faces(root, domain, left_out))
        found = [Finding(split, f"{LEFT_OUT}: {why}", None, count) for (split, why), count in sorted(left_out.items())]
        return self.findings(faces, root, domain) + found

    def _faces(self, root: Path | None, domain: str, left_out: LeftOut) -> Iterator[FaceImage]:
        check_domain(self, "affectnet", domain)
        root = self.folder(root)
        lists = _lists(root)
        if lists is not None:
            images = first_folder(top / IMAGES for top in (root, root / BETWEEN, root / BETWEEN / BETWEEN))
            if images is None:
                raise self.refuse_root(f"{root} has {LISTS}, but no {IMAGES}.")
            for split, name in (("train", "training"), ("validation", "validation")):
                yield from _listed(lists / f"{name}.csv", images, split, left_out=left_out)
            return
        for split, name in NPY_FOLDERS.items():
            if not (root / name / "annotations").is_dir():
                reason = f"{root} has neither {LISTS} nor {name}/annotations."
                raise self.refuse_root(reason, root, (LISTS, name))
            yield from _annotated(root / name, root, split, left_out=left_out)


def _lists(root: Path) -> Path | None:
    return first_folder((root / LISTS, root / BETWEEN / LISTS))


def _listed(path: Path, images: Path, split: str, left_out: LeftOut) -> Iterator[FaceImage]:
    if not path.is_file():
        raise UsageError(f"{path} is missing. AffectNet has training.csv and validation.csv; both are needed.")
    for where, row in _lines(path):
        name, number, (left, top, width, height) = _read_line(row, where)
        expression = _expression(number, where)
        if expression is None or width < 0:
            left_out[split, NO_EXPRESSION if expression is None else NO_BOX] += 1
            continue
        box = (left, top, left + width, top + height)
        yield face_file(images / name, images, split, label=expression, id=name, box=box)


def _lines(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Where a line is, and its cells by column; a list without a header has the columns in the usual order."""
    columns = list(COLUMNS)
    for number, cells in csv_lines(path):
        if COLUMNS[0] in cells:
            refuse_repeated(cells, path)
            columns = cells
            continue
        if len(cells) != len(columns):
            raise UsageError(
                f"{path}, line {number}: {len(cells)} cells, not {len(columns)}: {', '.join(columns)}. "
                "Take the original list."
            )
        yield f"{path}, line {number}", dict(zip(columns, cells, strict=True))


def _read_line(row: Mapping[str, str], where: str) -> tuple[str, int, list[int]]:
    """The image, the number of its expression, and left, top, width and height of the face."""
    try:
        box = [int(float(row[f"face_{name}"])) for name in ("x", "y", "width", "height")]
        name, number = row[COLUMNS[0]], int(row["expression"])
    except (KeyError, ValueError, OverflowError):
        raise UsageError(f"{where}: not an image, a box and an expression: {list(row.values())[:5]}.") from None
    if not name or not name.isprintable() or PurePath(name).is_absolute() or ".." in PurePath(name).parts:
        raise UsageError(f"{where}: {name!r} is not the name of an image below {IMAGES}.")
    return name, number, box


def _annotated(folder: Path, root: Path, split: str, left_out: LeftOut) -> Iterator[FaceImage]:
    annotations = [path for path in visible(folder / "annotations", root) if path.name.endswith(EXPRESSION_FILE)]
    with progress(f"read annotations of {folder.name}", len(annotations), "file") as bar:
        for path in sorted(annotations, key=lambda path: (len(path.name), path.name)):
            bar.update()
            expression = _expression(_read_number(path), str(path))
            if expression is None:
                left_out[split, NO_EXPRESSION] += 1
                continue
            image = folder / "images" / f"{path.name.removesuffix(EXPRESSION_FILE)}.jpg"
            yield face_file(image, root, split, label=expression)


def _read_number(path: Path) -> int:
    """The number in an npy file, possibly as text. Never unpickles, and never reads a file that is too large."""
    if not path.is_file() or path.stat().st_size > LARGEST_ANNOTATION:
        raise UsageError(f"{path} holds no number: it is not a file of at most {LARGEST_ANNOTATION} bytes. {ANOTHER}")
    try:
        return int(np.load(path, allow_pickle=False).item())
    except Exception as error:  # numpy raises nearly everything on damaged files
        raise UsageError(f"{path} holds no number: {error}. {ANOTHER}") from None


def _expression(number: int, where: str) -> str | None:
    """None for numbers that stand for no expression. Raises UsageError for unknown numbers."""
    if not 0 <= number <= LAST_NUMBER:
        raise UsageError(f"{where}: expression {number}; known are 0 to {LAST_NUMBER}. Take the original lists.")
    return _EXPRESSIONS[number] if number < len(_EXPRESSIONS) else None


plugin = AffectNet()
