"""MMAFEDB, given as its own folder or as the folder around it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from fercache.contracts import Miniature
from tests.datasets.miniatures.images import in_classes, write_images

CLASSES = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}


def mmafedb(folder: Path, top: str = "") -> Miniature:
    truth = in_classes(("train", "valid", "test"), CLASSES, ("0angry.jpg", "1 Happy.JPG", "2.png"))
    write_images(folder / top, truth)
    return Miniature(folder, truth)


VARIANTS: dict[str, Callable[[Path], Miniature]] = {"itself": mmafedb, "around": partial(mmafedb, top="MMAFEDB")}
