"""`fercache audit` prints its findings and writes them to files."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.audits.planted import draw_folder, plant
from tests.cli.test_wrong_use import refused
from tests.command_line import Run
from tests.pixel_encoder import PixelEncoder


def extract(run: Run, name: str, root: Path, encoder: str) -> None:
    outcome = run("extract", "--dataset", name, "--root", root, "--encoder", encoder)
    assert outcome.code == 0, outcome.err


def printed(run: Run, *sets: str) -> list[str]:
    outcome = run("audit", *sets)
    assert outcome.code == 0, outcome.err
    return outcome.out.splitlines()


def test_copies_and_swapped_labels_are_reported(run: Run, tmp_path: Path, pixel_encoder: type[PixelEncoder]) -> None:
    extract(run, "folder:mine", plant(draw_folder(tmp_path / "mine")), "pixels")
    swapped = draw_folder(tmp_path / "other", 5000, {"test": 8}, {"anger": "disgust", "disgust": "anger"})
    extract(run, "folder:other", swapped, "pixels")
    lines = printed(run, "folder:mine", "folder:other")
    words = [line.split() for line in lines]
    assert words[0] == ["copies", "images", "identical", "near", "share", "other", "label"]
    assert ["folder:mine@test", "in", "folder:mine@train", "74", "2", "2", "5.4%", "1"] in words
    assert ["folder:mine@train", "in", "itself", "141", "2", "0", "1.4%", "0"] in words
    assert not any(line[:3] == ["folder:mine@train", "in", "folder:mine@test"] for line in words)
    (within,) = (
        i for i, line in enumerate(lines) if line.startswith("  within folder:mine: near copies have a cosine of")
    )
    assert lines[within + 1].startswith("    share of known copies found: ")
    assert "jpeg 90 100%" in lines[within + 1]
    assert any(line.startswith("  between folder:mine and folder:other: near copies have") for line in lines)
    (labels,) = (line for line in lines if "disagree" in line)
    assert labels.startswith("  folder:mine and folder:other disagree: anger and disgust are swapped (mean cosine")
    assert "  folder:mine: 1 doubtful labels, contradicted by a model of the other faces" in lines
    assert lines[-2:] == [
        "lists: reports/audit-folder-mine-folder-other/duplicates.csv, leaks.csv, searches.csv, suspects-*.csv",
        "closest pairs: reports/audit-folder-mine-folder-other/closest.png",
    ]
    assert {path.name for path in Path("reports/audit-folder-mine-folder-other").iterdir()} == {
        "duplicates.csv",
        "leaks.csv",
        "searches.csv",
        "closest.png",
        "suspects-folder-mine.csv",
        "suspects-folder-other.csv",
    }


def test_the_bundled_encoder_and_one_small_dataset(run: Run, studio_folder: Path, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    shutil.copytree(studio_folder, planted)
    shutil.copy(next((planted / "train" / "fear").iterdir()), planted / "test" / "sadness" / "mislabelled.png")
    extract(run, "folder:mine", planted, "bundled")
    lines = printed(run, "folder:mine", "--name", "first")
    assert (
        "  within folder:mine: too few or too similar faces to find near copies; searched for identical ones only"
        in lines
    )
    assert "  name a second dataset to compare with" in lines
    leaks = pd.read_csv("reports/first/leaks.csv")
    assert leaks[["identical", "near", "conflicting"]].to_numpy().tolist() == [[1, 0, 1]] * 2
    suspects = pd.read_csv("reports/first/suspects-folder-mine.csv")
    assert "test/sadness/mislabelled.png" in set(suspects["id"])
    assert not Path("reports/first/closest.png").exists()


def test_datasets_that_agree_and_share_nothing(run: Run, tmp_path: Path, pixel_encoder: type[PixelEncoder]) -> None:
    for first, name in enumerate(("mine", "other")):
        extract(run, f"folder:{name}", draw_folder(tmp_path / name, 5000 * first, {"test": 8}), "pixels")
    few = tmp_path / "few"
    shutil.copytree(tmp_path / "other/test/anger", few / "anger")
    shutil.copy(tmp_path / "mine/test/fear/0008.png", few / "anger")
    extract(run, "folder:few", few, "pixels")
    lines = printed(run, "folder:mine", "folder:other")
    assert [line.strip() for line in lines[:2]] == ["copies", "none"]
    assert "  folder:mine and folder:other agree" in lines
    lines = printed(run, "folder:few", "folder:mine")
    assert "  folder:few and folder:mine: too few common expressions to compare" in lines
    assert ["folder:few", "in", "folder:mine@test", "9", "1", "0", "11.1%", "1"] in [line.split() for line in lines]


def test_wrong_use(run: Run, tmp_path: Path, pixel_encoder: type[PixelEncoder]) -> None:
    refused(run("audit"), "DATASETS")
    refused(run("audit", "ferplus"), "Run: fercache extract --dataset ferplus")
    root = draw_folder(tmp_path / "mine", per_class={"test": 1})
    extract(run, "folder:mine", root, "pixels")
    refused(run("audit", "folder:mine", "folder:mine"), "folder:mine and folder:mine overlap")
    refused(run("audit", "folder:mine", "--name", "../elsewhere"), "--name", "not a path")
    refused(run("audit", "feplus"), "Did you mean 'ferplus'")
    refused(run("audit", "folder:mnie"), "Did you mean 'folder:mine'", "--root ROOT")
    refused(run("audit", "folder:mine", "--encoder", "bundled"), "fercache extract", "It has tables by: pixels")


@pytest.mark.usefixtures("pixel_encoder")
def test_features_of_different_encoders_are_not_compared(run: Run, tmp_path: Path) -> None:
    for name, encoder in (("mine", "pixels"), ("other", "bundled")):
        extract(run, f"folder:{name}", draw_folder(tmp_path / name, per_class={"test": 1}), encoder)
    refused(run("audit", "folder:mine", "folder:other"), "different encoders", "--encoder")
