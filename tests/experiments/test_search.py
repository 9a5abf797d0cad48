"""Datasets are found by their layouts, and nothing else is taken for one."""

from pathlib import Path

import pytest

from fercache.experiments import search
from fercache.experiments.search import described, find_datasets
from tests.datasets.miniatures import MINIATURES
from tests.datasets.miniatures.ferplus import ferplus, pixel_rows
from tests.datasets.miniatures.images import encoded, pixels, write
from tests.datasets.miniatures.own_images import folder, manifest

CLASS_FOLDERS = {("ckplus", "CK+48-itself"), ("fer2013", "folders"), ("mmafedb", "itself")}
"""Miniatures that only their counts distinguish from a user's own folder; these are too small."""


@pytest.mark.parametrize(
    ("family", "variant"),
    [(f, v) for f, variants in MINIATURES.items() for v in variants if f not in ("synthetic", "webdataset")],
)
def test_every_layout_is_found_below_a_folder(family: str, variant: str, tmp_path: Path) -> None:
    root = tmp_path / "data" / "Office faces"
    root.mkdir(parents=True)
    made = MINIATURES[family][variant](root)
    (found,) = find_datasets([tmp_path])
    own = {"folder": "folder:office-faces", "manifest": "manifest:faces"}
    expected = own["folder"] if (family, variant) in CLASS_FOLDERS else own.get(family, family)
    assert found.name == expected
    assert sum(found.faces.values()) == len(made.truth)
    assert described(found.name, found.root) == found


def test_a_folder_with_the_known_counts_is_that_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = MINIATURES["mmafedb"]["itself"](tmp_path / "mma")
    monkeypatch.setattr("fercache.datasets.mmafedb._COUNTS", {"train": (len(made.truth), 0, 0, 0, 0, 0, 0)})
    assert [found.name for found in find_datasets([tmp_path])] == ["mmafedb"]


def test_a_dataset_that_another_contains_is_left_out(tmp_path: Path) -> None:
    pixel_rows(tmp_path / "fer")
    assert [found.name for found in find_datasets([tmp_path])] == ["ferplus"]


def test_names_are_told_apart_and_a_known_dataset_is_taken_once(tmp_path: Path) -> None:
    for site in ("a", "b", "c/a"):
        folder(tmp_path / site / "faces")
    for name in ("one", "two"):
        ferplus(tmp_path / name)
    assert [found.name for found in find_datasets([tmp_path])] == [
        "ferplus",
        "folder:faces",
        "folder:b-faces",
        "folder:a-faces",
    ]


def test_what_is_no_dataset_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "photos" / "holiday.jpg", encoded(pixels(1)))
    write(tmp_path / "notes.csv", b"day,note\n1,x\n")
    write(tmp_path / "broken.csv", b"path,label\na/0.png,no-such-expression\n")
    folder(tmp_path / ".hidden" / "faces")
    folder(tmp_path / "cache" / "faces")
    folder(tmp_path / "1" / "2" / "3" / "4" / "deep")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert find_datasets([tmp_path], [tmp_path / "cache"]) == []


def test_the_search_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(search, "MOST_FOLDERS", 3)
    for number in range(5):
        (tmp_path / str(number)).mkdir()
    manifest(tmp_path)
    assert [found.name for found in find_datasets([tmp_path])] == ["manifest:faces"]
    assert "searched 3 folders; for others: fercache init FOLDER" in capsys.readouterr().err
