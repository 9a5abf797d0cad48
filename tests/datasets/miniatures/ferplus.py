"""FERPlus: two lists of votes, images in folders or as rows of pixels."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fercache.contracts import Miniature
from tests.datasets.miniatures.images import encoded, pixels, write

VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
FOLDER_OF = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}


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
    Voted("Training", "fer0006953.png", ballot(happiness=10)),
    Voted("Training", "", ballot(NF=10)),
    Voted("Training", "fer0000003.png", ballot(anger=5, disgust=5)),
    Voted("Training", "fer0006953.png", ballot(happiness=10)),
    Voted("Training", "fer0000004.png", ballot(contempt=8, neutral=2), ballot(surprise=9, fear=1)),
    Voted("PublicTest", "fer0000005.png", ballot(unknown=10)),
    Voted("PublicTest", "fer0000006.png", ballot(fear=9, surprise=1)),
    Voted("PrivateTest", "fer0000007.png", ballot(disgust=7, anger=3)),
    Voted("PrivateTest", "fer0000008.png", ballot(surprise=7, fear=3)),
    Voted("PrivateTest", "fer0000009.png", ballot(sadness=8, neutral=2)),
    Voted("PrivateTest", "fer0000010.png", ballot(anger=9, unknown=1)),
)

TRUTH = {
    "fer0000000.png": "neutral",
    "fer0006953.png": "happiness",
    "fer0000003.png": None,
    "fer0006953.png#2": "happiness",
    "fer0000004.png": "contempt",
    "fer0000005.png": None,
    "fer0000006.png": "fear",
    "fer0000007.png": "disgust",
    "fer0000008.png": "surprise",
    "fer0000009.png": "sadness",
    "fer0000010.png": "anger",
}
"""Majorities of `fer2013new.csv`."""
TRUTH_OF_FOLDERS = {name: TRUTH[name] for name in TRUTH if "#" not in name} | {"fer0000004.png": "surprise"}


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
    """`fer2013.csv`: the row's number is the seed of its image."""
    with (root / "fer2013.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["emotion", "pixels", "Usage"])
        for row, line in enumerate(lines):
            rows.writerow([0, " ".join(map(str, pixels(row, 48, 48)[:, :, 0].ravel())), line.usage])


def ferplus(folder: Path, label_files: bool = True) -> Miniature:
    write_list(folder)
    write_folders(folder, label_files=label_files)
    return Miniature(folder, TRUTH)


def label_files_alone(folder: Path) -> Miniature:
    write_folders(folder)
    return Miniature(folder, TRUTH_OF_FOLDERS, label_file="folders")


def pixel_rows(folder: Path) -> Miniature:
    write_list(folder)
    write_pixel_rows(folder)
    return Miniature(folder, TRUTH)


VARIANTS: dict[str, Callable[[Path], Miniature]] = {
    "folders": ferplus,
    "folders-without-label-files": partial(ferplus, label_files=False),
    "label-files-alone": label_files_alone,
    "pixel-rows": pixel_rows,
}
