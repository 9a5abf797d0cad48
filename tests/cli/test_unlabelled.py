"""Images without labels: folders of any layout, and lists without a column of labels."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from fercache.loading.tables import extract_command
from fercache.store.tables import find_tables, read_table
from fercache.synthetic_faces import EXPRESSIONS, draw, sample_face
from tests.cli.test_wrong_use import refused
from tests.command_line import Run

pytestmark = pytest.mark.usefixtures("pixel_encoder")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Thirty faces, some directly in the folder and some in folders that are no expressions."""
    root = tmp_path / "my photos"
    for number in range(30):
        folder = root / ("" if number < 10 else f"2026/day {number % 3}")
        folder.mkdir(parents=True, exist_ok=True)
        face = sample_face(5, number, "webcam", EXPRESSIONS[number % 7])
        Image.fromarray(draw(face, 32)).save(folder / f"{number:02}.png")
    return root


def extract(run: Run, dataset: str, root: Path, *more: str) -> str:
    done = run("extract", "--dataset", dataset, "--root", root, "--encoder", "pixels", *more)
    assert done.code == 0, done.err
    return done.out


def test_a_folder_of_photos_end_to_end(run: Run, photos: Path, studio_folder: Path, tmp_path: Path) -> None:
    wrong = ("extract", "--dataset", "folder:photos", "--root", photos, "--encoder", "pixels")
    refused(run(*wrong), "10 images outside the class folders", "For images without labels, add --unlabelled.")
    out = extract(run, "folder:photos", photos, "--unlabelled")
    assert "30 faces" in out and out.splitlines()[-1] == "next: fercache suggest --encoder pixels folder:photos"
    (info,) = find_tables(tmp_path / "cache")
    assert info.unlabelled and info.identity["unlabelled"] is True
    assert extract_command(info).endswith("--unlabelled")
    columns = read_table(info.path).columns
    assert set(columns.label) == {-1} and set(columns.split) == {""}
    assert sorted(columns.id)[0] == "00.png" and "2026/day 2/29.png" in columns.id

    remedies = ("folder:photos has no labels", "fercache estimate folder:photos", "fercache suggest folder:photos")
    refused(run("train", "--source", "folder:photos"), *remedies)
    extract(run, "folder:studio", studio_folder)
    (trained,) = run("train", "--source", "folder:studio", "--head", "zero-shot").out.splitlines()[:1]
    refused(run("evaluate", "--target", "folder:photos"), *remedies)
    scored = run("evaluate")
    assert scored.code == 0 and "photos" not in scored.out + scored.err

    assert len(run("predict", photos, "--run", Path(trained).name).out.splitlines()) == 30
    audited = run("audit", "folder:photos", "folder:studio")
    assert audited.code == 0, audited.err
    assert run("cache", "verify").code == 0
    assert ", no labels" in run("list", "tables").out
    assert "all        30" in run("datasets", "show", "folder:photos").out


def test_without_another_table_evaluate_says_what_to_extract(run: Run, photos: Path, studio_folder: Path) -> None:
    only_train = extract(run, "folder:studio", studio_folder / "train")
    assert "84 faces" in only_train
    run("train", "--source", "folder:studio", "--head", "zero-shot")
    extract(run, "folder:photos", photos, "--unlabelled")
    refused(run("evaluate"), "There is no target to score the runs on")


def test_a_list_without_labels(run: Run, photos: Path, tmp_path: Path) -> None:
    manifest = photos / "faces.csv"
    with manifest.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["path", "subject", "light"])
        rows.writerows([path.name, "ann", "day"] for path in sorted(photos.glob("*.png")))
    wrong = ("extract", "--dataset", "manifest:photos", "--root", manifest, "--encoder", "pixels")
    refused(run(*wrong), "no column label", "For images without labels, add --unlabelled.")
    extract(run, "manifest:photos", manifest, "--unlabelled")
    (info,) = find_tables(tmp_path / "cache")
    columns = read_table(info.path).columns
    assert set(columns.subject) == {"ann"} and set(columns.group) == {"light=day"} and set(columns.label) == {-1}


def test_labels_that_are_there_are_not_read(run: Run, studio_folder: Path, tmp_path: Path) -> None:
    """Also with labels in the layout; encoded features are used again, under another key."""
    extract(run, "folder:studio", studio_folder)
    assert "140 copied" in extract(run, "folder:studio", studio_folder, "--unlabelled")
    newest, labelled = find_tables(tmp_path / "cache")[:2]
    assert newest.unlabelled and not labelled.unlabelled
    assert not read_table(newest.path).has_labels
    refused(run("train", "--source", "folder:studio"), "folder:studio has no labels")
    extract(run, "folder:studio", studio_folder)
    assert run("train", "--source", "folder:studio", "--head", "zero-shot").code == 0


def test_an_empty_folder_has_no_images(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty" / "inner").mkdir(parents=True)
    wrong = ("extract", "--dataset", "folder:x", "--root", tmp_path / "empty", "--encoder", "pixels", "--unlabelled")
    refused(run(*wrong), "holds no images")
