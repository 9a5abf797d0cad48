"""What every dataset in class folders refuses, and how."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fercache import registry
from fercache.datasets import Dataset
from fercache.errors import UsageError
from tests.datasets.miniatures import MINIATURES
from tests.datasets.miniatures.images import write

SETS = {  # set and variant -> the folder around the class folders, and one of these
    "ckplus CK+48": ("CK+48", "happy"),
    "fer2013 folders": ("train", "happy"),
    "folder splits": ("Val", "Happy"),
    "mmafedb itself": ("valid", "happy"),
    "rafdb kaggle": ("DATASET/test", "6"),
    "sfew official": ("Train/Train_Aligned_Faces", "Happy"),
}


@pytest.fixture(params=SETS)
def there(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Dataset, Path, Path]:
    """The set, the folder around its class folders, and a class folder."""
    name, variant = request.param.split()
    around, class_folder = SETS[request.param]
    MINIATURES[name][variant](tmp_path)
    return registry.load("datasets", name), tmp_path / around, tmp_path / around / class_folder


def refused(dataset: Dataset, tmp_path: Path, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        list(dataset.faces(tmp_path))


def test_images_outside_of_class_folders(there: tuple[Dataset, Path, Path], tmp_path: Path) -> None:
    dataset, around, _ = there
    write(around / "stray.JPG", b"")
    refused(dataset, tmp_path, f"{re.escape(around.name)}: 1 images outside the class folders, such as stray.JPG")


def test_folders_in_class_folders(there: tuple[Dataset, Path, Path], tmp_path: Path) -> None:
    dataset, _, class_folder = there
    write(class_folder / "more" / "a.png", b"")
    refused(dataset, tmp_path, "more is a folder in a class folder")


def test_folders_that_are_no_class(there: tuple[Dataset, Path, Path], tmp_path: Path) -> None:
    dataset, around, _ = there
    (around / "bored").mkdir()
    refused(dataset, tmp_path, "bored")


def test_class_folders_that_are_numbers(there: tuple[Dataset, Path, Path], tmp_path: Path) -> None:
    dataset, around, _ = there
    (around / "0").mkdir()
    refused(dataset, tmp_path, "folders are the numbers 0.*different orders|counts from 0 = neutral")


def test_names_that_are_not_utf_8(there: tuple[Dataset, Path, Path], tmp_path: Path) -> None:
    dataset, _, class_folder = there
    try:
        Path(os.fsdecode(os.fsencode(class_folder) + b"/S001_\xff.png")).write_bytes(b"")
    except OSError as error:
        pytest.skip(f"this file system refuses such names: {error}")
    refused(dataset, tmp_path, r"S001_\\xff.png': the name is not UTF-8")


@pytest.mark.parametrize("which", [1, 2], ids=["around", "class"])
def test_folders_that_cannot_be_read(
    there: tuple[Dataset, Path, Path], which: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a user without rights; root has them all."""
    locked = str(there[which])  # type: ignore[arg-type]

    def unless_locked(scan: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def scanned(folder: Any) -> Iterator[Any]:
            if os.fspath(folder) == locked:
                raise PermissionError(13, "Permission denied", locked)
            return scan(folder)

        return scanned

    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, unless_locked(getattr(os, name)))
    refused(there[0], tmp_path, f"{re.escape(locked)} cannot be read: Permission denied")


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_out_of_the_root(there: tuple[Dataset, Path, Path], tmp_path: Path) -> None:
    dataset, _, class_folder = there
    outside = write(tmp_path.parent / f"{tmp_path.name}-outside.png", b"")
    (class_folder / "S001_link.png").symlink_to(outside)
    refused(dataset, tmp_path, "S001_link.png is a link that leaves")
