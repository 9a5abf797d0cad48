"""SFEW in its three spellings."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from fercache.contracts import Miniature
from tests.datasets.miniatures.images import in_classes, write_images

CLASSES = {
    "Angry": "anger",
    "Disgust": "disgust",
    "Fear": "fear",
    "Happy": "happiness",
    "Neutral": "neutral",
    "Sad": "sadness",
    "Surprise": "surprise",
}


def sfew(folder: Path, train: str, val: str) -> Miniature:
    truth = in_classes((train, val), CLASSES, ("Film_000123.png", "Film_000456.PNG"))
    write_images(folder, truth)
    return Miniature(folder, truth)


VARIANTS: dict[str, Callable[[Path], Miniature]] = {
    "official": partial(sfew, train="Train/Train_Aligned_Faces", val="Val/Val_Aligned_Faces"),
    "aligned": partial(sfew, train="Train_Aligned_Faces", val="Val_Aligned_Faces"),
    "new": partial(sfew, train="Train_Aligned_Faces", val="Val_Aligned_Faces_new"),
}
