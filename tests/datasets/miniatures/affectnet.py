"""AffectNet as lists and as npy annotations. Labels: 0 neu 1 hap 2 sad 3 sur 4 fea 5 dis 6 ang 7 con, 8 and more none.

The images of the lists are called after what their lines say of them.
"""

import io
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from fercache.contracts import Miniature
from tests.datasets.miniatures.images import LISTS, write, write_images

LISTED = {
    "1/neutral.jpg": "neutral",
    "1/happiness.JPG": "happiness",
    "1/sadness.png": "sadness",
    "23/surprise.jpg": "surprise",
    "23/fear.jpg": "fear",
    "456/disgust.jpg": "disgust",
    "456/anger.jpg": "anger",
    "456/contempt.jpg": "contempt",
    "7/surprise.jpg": "surprise",
    "7/contempt.jpg": "contempt",
}
LEFT_OUT = ("1/none.jpg", "23/uncertain.jpg", "23/no-face.jpg", "456/no-box.jpg", "7/uncertain.jpg")
ANNOTATED: Mapping[str, Mapping[int, tuple[int | str, str | None]]] = {
    "train_set": {
        0: (0, "neutral"),
        2: (1, "happiness"),
        3: ("2", "sadness"),
        5: (3, "surprise"),
        10: ("4", "fear"),
        11: (5, "disgust"),
        12: (6, "anger"),
        100: ("7", "contempt"),
        101: (8, None),
        102: ("10", None),
    },
    "val_set": {1: (7, "contempt"), 4: ("3", "surprise")},
}
"""Folder -> number of the image -> what its annotation says, and means."""


def lists(folder: Path, images_in: str = "", lists_in: str = "") -> Miniature:
    shutil.copytree(LISTS / "affectnet", folder / lists_in / "Manually_Annotated_file_lists")
    write_images(folder / images_in / "Manually_Annotated_Images", (*LISTED, *LEFT_OUT))
    return Miniature(folder, LISTED)


def npy(folder: Path) -> Miniature:
    truth = {}
    for name, annotations in ANNOTATED.items():
        write_images(folder / name / "images", [f"{number}.jpg" for number in annotations])
        for number, (stored, expression) in annotations.items():
            for kind, value in (("exp", stored), ("val", "0.25"), ("lnd", [1.5, 2.5])):
                write(folder / name / "annotations" / f"{number}_{kind}.npy", saved(value))
            if expression is not None:
                truth[f"{name}/images/{number}.jpg"] = expression
        write(folder / name / "annotations" / ".DS_Store", b"\0\1")
    return Miniature(folder, truth)


def saved(value: object) -> bytes:
    """What numpy stores of a value."""
    stream = io.BytesIO()
    np.save(stream, np.array(value))
    return stream.getvalue()


VARIANTS: dict[str, Callable[[Path], Miniature]] = {
    "lists": lists,
    "lists-deeper-images": partial(lists, images_in="Manually_Annotated"),
    "lists-deeper": partial(lists, images_in="Manually_Annotated", lists_in="Manually_Annotated"),
    "npy": npy,
}
