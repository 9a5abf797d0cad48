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


def printed(run: Run, *sets: str) -> str:
    """What the audit prints, in one line: its own have 80 columns."""
    outcome = run("audit", *sets)
    assert outcome.code == 0, outcome.err
    assert max(map(len, outcome.out.splitlines())) <= 80
    return " ".join(outcome.out.split())


def test_copies_and_swapped_labels_are_reported(run: Run, tmp_path: Path, pixel_encoder: type[PixelEncoder]) -> None:
    extract(run, "folder:mine", plant(draw_folder(tmp_path / "mine")), "pixels")
    swapped = draw_folder(tmp_path / "other", 5000, {"test": 8}, {"anger": "disgust", "disgust": "anger"})
    extract(run, "folder:other", swapped, "pixels")
    text = printed(run, "folder:mine", "folder:other")
    assert text.startswith("copies images identical near share other label ")
    assert " folder:mine@test in folder:mine@train 74 2 2 5.4% 1 " in text
    assert " folder:mine@train in itself 141 2 0 1.4% 0 " in text
    assert "folder:mine@train in folder:mine@test" not in text
    within = text.partition(" within folder:mine: near copies have a cosine of ")[2]
    assert "jpeg 90 100%" in within.partition(" share of known copies found: ")[2].partition(" near copies ")[0]
    assert " between folder:mine and folder:other: near copies have " in text
    assert " folder:mine and folder:other disagree: anger and disgust are swapped (mean cosine" in text
    assert text.count("disagree") == 1
    assert " folder:mine: 1 doubtful labels, contradicted by a model of the other faces" in text
    assert text.endswith(
        " lists: reports/audit-folder-mine-folder-other/duplicates.csv, leaks.csv, searches.csv, suspects-*.csv"
        " closest pairs: reports/audit-folder-mine-folder-other/closest.png"
    )
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
    text = printed(run, "folder:mine", "--name", "first")
    assert (
        " within folder:mine: too few or too similar faces to find near copies; searched for identical ones only "
        in text
    )
    assert " name a second dataset to compare with " in text
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
    text = printed(run, "folder:mine", "folder:other")
    assert text.startswith("copies none ")
    assert " folder:mine and folder:other agree " in text
    text = printed(run, "folder:few", "folder:mine")
    assert " folder:few and folder:mine: too few common expressions to compare " in text
    assert " folder:few in folder:mine@test 9 1 0 11.1% 1 " in text


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
