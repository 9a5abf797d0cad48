"""A miniature of every registered data set, with what is in it. A new set adds a function of its name."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fercache.datasets.synthetic import Synthetic

VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
FOLDER_OF = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}


@dataclass(frozen=True)
class Miniature:
    """Where a miniature lies, and the true expression of every id in it (None where there is none)."""

    root: Path | None
    truth: dict[str, str | None] = field(default_factory=dict)
    domain: str = ""


def pixels(seed: int, height: int = 12, width: int = 10) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(array: NDArray[np.uint8], format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format)
    return stream.getvalue()


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def ballot(**votes: int) -> tuple[int, ...]:
    """Ten votes in the order of the lists."""
    return tuple(votes.get(name, 0) for name in VOTES)


@dataclass(frozen=True)
class Voted:
    """A line of the two FERPlus lists; `in_folder` None means that label.csv has the same votes."""

    usage: str
    name: str
    votes: tuple[int, ...]
    in_folder: tuple[int, ...] | None = None


FERPLUS = (
    Voted("Training", "fer0000000.png", ballot(neutral=6, sadness=4)),
    Voted("Training", "fer0000002.png", ballot(happiness=10)),
    Voted("Training", "", ballot(NF=10)),
    Voted("Training", "fer0000003.png", ballot(anger=5, disgust=5)),
    Voted("Training", "fer0000002.png", ballot(happiness=10)),
    Voted("Training", "fer0000004.png", ballot(contempt=8, neutral=2), ballot(surprise=9, fear=1)),
    Voted("PublicTest", "fer0000005.png", ballot(unknown=10)),
    Voted("PublicTest", "fer0000006.png", ballot(fear=9, surprise=1)),
    Voted("PrivateTest", "fer0000007.png", ballot(disgust=7, anger=3)),
)


def write_list(root: Path, lines: Sequence[Voted] = FERPLUS) -> None:
    root.mkdir(parents=True, exist_ok=True)
    with (root / "fer2013new.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["Usage", "Image name", *VOTES])
        rows.writerows([line.usage, line.name, *line.votes] for line in lines)


def write_folders(root: Path, lines: Sequence[Voted] = FERPLUS, label_files: bool = True) -> None:
    named = {line.name: line for line in lines if line.name}
    for usage, folder in FOLDER_OF.items():
        rows = [line for line in named.values() if line.usage == usage]
        for line in rows:
            write(root / folder / line.name, encoded(pixels(int(line.name[3:10]), 48, 48)[:, :, 0]))
        if label_files:
            with (root / folder / "label.csv").open("w", newline="") as stream:
                csv.writer(stream).writerows([r.name, "(0, 0, 48, 48)", *(r.in_folder or r.votes)] for r in rows)


def write_pixel_rows(root: Path, lines: Sequence[Voted] = FERPLUS) -> None:
    """`fer2013.csv`: the row's number is the seed of its picture."""
    with (root / "fer2013.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["emotion", "pixels", "Usage"])
        for row, line in enumerate(lines):
            rows.writerow([0, " ".join(map(str, pixels(row, 48, 48)[:, :, 0].ravel())), line.usage])


def ferplus(folder: Path) -> Miniature:
    write_list(folder)
    write_folders(folder)
    return Miniature(
        folder,
        {
            "fer0000000.png": "neutral",
            "fer0000002.png": "happiness",
            "fer0000003.png": None,
            "fer0000002.png#2": "happiness",
            "fer0000004.png": "contempt",
            "fer0000005.png": None,
            "fer0000006.png": "fear",
            "fer0000007.png": "disgust",
        },
    )


def folder(folder: Path) -> Miniature:
    """Aliases, upper case, hidden files; equal file names in all class folders."""
    truth: dict[str, str | None] = {}
    for split in ("train", "Val", "TEST"):
        for name, label in (("Happy", "happiness"), ("sad", "sadness"), ("ANGRY", "anger"), ("contempt", "contempt")):
            for number, suffix in enumerate((".png", ".PNG")):
                path = write(folder / split / name / f"{number}{suffix}", encoded(pixels(len(truth))))
                truth[path.relative_to(folder).as_posix()] = label
            write(folder / split / name / ".DS_Store", b"\0\1")
            write(folder / split / name / "Thumbs.db", b"\0\1")
    return Miniature(folder, truth, domain="mine")


def manifest(folder: Path) -> Miniature:
    truth: dict[str, str | None] = {
        "a/0.png": "happiness",
        "a/1.png": "surprise",
        "b/0.png#1,2,8,9": "fear",
        "b/0.png": None,
    }
    for name in ("a/0.png", "a/1.png", "b/0.png"):
        write(folder / name, encoded(pixels(len(name))))
    lines = ["path,label,split,subject,box,light", "a/0.png,Happy,train,ann,,day", "a/1.png,surprised,val,bob,,day"]
    lines += ["b/0.png,fear,test,bob,1 2 8 9,night", "b/0.png,,test,bob,,night"]
    write(folder / "faces.csv", "\n".join(lines).encode())
    return Miniature(folder / "faces.csv", truth, domain="mine")


def synthetic(folder: Path) -> Miniature:
    names = Synthetic.expressions
    return Miniature(None, {f"webcam-{i:05d}": names[i % 7] for i in range(3_200, 4_000)}, domain="webcam")
