"""RAF-DB as it comes, and as it is packed on Kaggle. Labels: 1 sur 2 fea 3 dis 4 hap 5 sad 6 ang 7 neu."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fercache.contracts import Miniature
from tests.datasets.miniatures.images import LISTS, write, write_images

LISTED = {
    "train_00001.jpg": "sadness",
    "train_00002.jpg": "neutral",
    "train_00003.jpg": "surprise",
    "train_00004.jpg": "fear",
    "train_00005.jpg": "happiness",
    "train_00006.jpg": "disgust",
    "train_00007.jpg": "anger",
    "test_0001.jpg": "anger",
    "test_0002.jpg": "disgust",
}
IN_FOLDERS = {
    "train/1/train_00003_aligned.jpg": "surprise",
    "train/2/train_00004_aligned.jpg": "fear",
    "train/3/train_00006_aligned.jpg": "disgust",
    "train/4/train_00005_aligned.jpg": "happiness",
    "train/5/train_00001_aligned.jpg": "sadness",
    "train/6/train_00007_aligned.jpg": "anger",
    "train/7/train_00002_aligned.JPG": "neutral",
    "test/3/test_0002_aligned.jpg": "disgust",
    "test/6/test_0001_aligned.jpg": "anger",
}


def official(folder: Path, top: str = "", kinds: tuple[str, ...] = ("original", "aligned")) -> Miniature:
    path = folder / top / "EmoLabel" / "list_patition_label.txt"
    write(path, (LISTS / "rafdb" / path.name).read_bytes())
    for kind in kinds:
        ending = "_aligned.jpg" if kind == "aligned" else ".jpg"
        names = [name.replace(".jpg", ending) for name in LISTED]
        write_images(folder / top / "Image" / kind, names)
    return Miniature(folder, LISTED)


def kaggle(folder: Path, top: str = "DATASET", lists_in: str | None = None) -> Miniature:
    write_images(folder / top, IN_FOLDERS)
    if lists_in is not None:
        for name in ("train_labels.csv", "test_labels.csv"):
            shutil.copyfile(LISTS / "rafdb" / name, folder / lists_in / name)
    return Miniature(folder, IN_FOLDERS)


VARIANTS: dict[str, Callable[[Path], Miniature]] = {
    "official": official,
    "basic": partial(official, top="basic"),
    "aligned": partial(official, kinds=("aligned",)),
    "original": partial(official, kinds=("original",)),
    "kaggle": kaggle,
    "kaggle-inside": partial(kaggle, top=""),
    "kaggle-lists": partial(kaggle, lists_in=""),
    "kaggle-lists-inside": partial(kaggle, lists_in="DATASET"),
}
