"""FER2013 as rows of pixels (0 ang 1 dis 2 fea 3 hap 4 sad 5 sur 6 neu), and as class folders."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from fercache.contracts import Miniature
from tests.datasets.miniatures.images import in_classes, pixels, write, write_images
from tests.datasets.miniatures.mmafedb import CLASSES

ROWS = (
    ("4", "Training", "sadness"),
    ("0", "Training", "anger"),
    ("6", "Training", "neutral"),
    ("1", "Training", "disgust"),
    ("3", "PublicTest", "happiness"),
    ("2", "PublicTest", "fear"),
    ("5", "PrivateTest", "surprise"),
    ("4", "PrivateTest", "sadness"),
)


def numbers(seed: int) -> str:
    """The cell of a face's pixels."""
    return " ".join(map(str, pixels(seed, 48, 48)[:, :, 0].ravel()))


def rows(folder: Path, name: str, columns: Sequence[str]) -> Miniature:
    """`columns` as the header spells them."""
    lines = [",".join(columns)]
    for number, (emotion, usage, _) in enumerate(ROWS):
        cells = {"emotion": emotion, "Usage": usage, "pixels": numbers(number)}
        lines.append(",".join(cells[column.strip()] for column in columns))
    write(folder / name, "\n".join(lines).encode() + b"\n")
    return Miniature(folder, {f"row-{number:05}": expression for number, (*_, expression) in enumerate(ROWS)})


def folders(folder: Path) -> Miniature:
    truth = in_classes(("train", "test"), CLASSES, ("Training_1.jpg", "Training_2.JPG", "3.png"))
    write_images(folder, truth)
    return Miniature(folder, truth)


VARIANTS: dict[str, Callable[[Path], Miniature]] = {
    "csv": partial(rows, name="fer2013.csv", columns=("emotion", "pixels", "Usage")),
    "icml": partial(rows, name="icml_face_data.csv", columns=("emotion", " Usage", " pixels")),
    "folders": folders,
}
