"""Which faces to label: from an empty cache, and with labels filled in."""

import csv
import shlex
from pathlib import Path

import numpy as np
import pytest

from fercache.errors import UsageError
from fercache.options.estimate import EstimateRequest
from fercache.settings import Settings
from fercache.stages.estimate_labelled import LabelledEstimate, estimate_labelled
from tests.cli.test_wrong_use import refused
from tests.command_line import Run, draw_folder

pytestmark = pytest.mark.usefixtures("pixel_encoder")


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("office"), "webcam", {"test": 12})


@pytest.fixture
def cached(run: Run, office: Path, studio_folder: Path, pixel_encoder: object) -> None:
    for name, root, more in (("office", office, ("--unlabelled",)), ("studio", studio_folder, ())):
        done = run("extract", "--dataset", f"folder:{name}", "--root", root, "--encoder", "pixels", *more)
        assert done.code == 0, done.err
    assert run("train", "--source", "folder:studio", "--head", "class-mean", "--head", "zero-shot").code == 0


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def estimated(settings: Settings, file: Path) -> list[LabelledEstimate]:
    return estimate_labelled(settings, EstimateRequest(target="folder:office", labelled=file))


def fill_in(path: Path, most: int = 1000) -> None:
    """The labels of the folders that the images are in."""
    rows = rows_of(path)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(row | {"label": row["id"].split("/")[1] if i < most else ""} for i, row in enumerate(rows))


@pytest.mark.usefixtures("cached")
def test_labels_are_asked_for_and_used(run: Run, office: Path, tmp_path: Path) -> None:
    done = run("suggest", "folder:office", "--count", "40")
    assert done.code == 0, done.err
    path = tmp_path / "reports" / "suggest-folder-office" / "faces.csv"
    assert done.out.splitlines()[-1] == f"next: fercache estimate folder:office --labelled {path.relative_to(tmp_path)}"
    rows = rows_of(path)
    assert len(rows) == 40 and all(row["label"] == "" for row in rows)
    assert sum(float(row["inclusion_probability"]) for row in rows) == pytest.approx(40 * 40 / 84, rel=0.2)
    page = path.with_suffix(".html").read_text()
    assert page.count("data:image/jpeg;base64,") == 40 and rows[0]["id"] in page
    assert "class-mean" not in page and f">1: {rows[0]['predicted']}" not in page

    settings = Settings(cache=tmp_path / "cache", reports=tmp_path / "reports")
    refused(run("suggest", "folder:office", "--run", "nothing"), "There is no finished run")
    fill_in(path)
    refused(run("suggest", "folder:office", "--count", "40"), "has 40 labels, which would be lost", "--out")
    shown = run(*shlex.split(done.out.splitlines()[-1])[2:], "--csv", tmp_path / "estimates.csv")
    assert shown.code == 0 and "From 40 labels, for all 84 faces, with 90% intervals:" in shown.out, shown.err
    assert max(len(line) for line in shown.out.splitlines() if not line.startswith("table:")) <= 80
    assert [row["labels"] for row in rows_of(tmp_path / "estimates.csv")] == ["40", "40"]
    found = {each.run.split("-")[3]: each for each in estimated(settings, path)}
    assert set(found) == {"class", "zero"} and {each.labels for each in found.values()} == {40}
    (run_name,) = [each.run for each in found.values() if "class-mean" in each.run]

    # the truth, once the folder is read with its labels
    run("extract", "--dataset", "folder:office", "--root", office, "--encoder", "pixels")
    line = next(line for line in run("evaluate", "--target", "folder:office").out.splitlines() if run_name in line)
    accuracy = float(line.split(": accuracy ")[-1].split("%")[0]) / 100
    low, high = found["class"].accuracy.interval
    assert low <= accuracy <= high and high - low < 0.4


@pytest.mark.usefixtures("cached")
def test_the_list_follows_from_its_seed_and_not_from_labels(run: Run, office: Path, tmp_path: Path) -> None:
    def listed(name: str, *more: str) -> str:
        path = tmp_path / f"{name}.csv"
        assert run("suggest", "folder:office", "--count", "20", "--out", path, *more).code == 0
        return path.read_text()

    first = listed("a")
    assert first == listed("b") != listed("c", "--seed", "1")
    fill_in(tmp_path / "c.csv")
    training = listed("t", "--for", "training")
    assert len(training.splitlines()) == 21 and ",,folder:office,sha256:" in training.splitlines()[1]
    assert len(listed("all", "--count", "500").splitlines()) == 85
    run("extract", "--dataset", "folder:office", "--root", office, "--encoder", "pixels")
    assert listed("d") == first and listed("e", "--for", "training") == training


def test_without_any_run_the_text_predicts(run: Run, office: Path, tmp_path: Path) -> None:
    run("extract", "--dataset", "folder:office", "--root", office, "--encoder", "pixels", "--unlabelled")
    path = tmp_path / "list.csv"
    assert run("suggest", "folder:office", "--out", path).code == 0
    fill_in(path)
    (found,) = estimated(Settings(cache=tmp_path / "cache"), path)
    assert found.run == "text" and found.faces == 84


@pytest.mark.usefixtures("cached")
def test_a_run_that_was_trained_on_the_faces_is_left_out(run: Run, tmp_path: Path) -> None:
    (name,) = [folder.name for folder in (tmp_path / "cache" / "runs").iterdir() if "class-mean" in folder.name]
    refused(run("suggest", "folder:studio@train", "--run", name), "The run was trained on folder:studio@train")
    refused(run("suggest", "folder:nothing"), "fercache extract --dataset folder:nothing")


@pytest.mark.usefixtures("cached")
def test_wrong_lists_are_refused_with_the_line(run: Run, tmp_path: Path) -> None:
    settings, path = Settings(cache=tmp_path / "cache"), tmp_path / "list.csv"
    run("suggest", "folder:office", "--count", "30", "--out", path)

    def error(text: str) -> str:
        (tmp_path / "wrong.csv").write_text(text)
        with pytest.raises(UsageError) as caught:
            estimated(settings, tmp_path / "wrong.csv")
        return str(caught.value)

    text = path.read_text()
    assert "has 0 labels. Label 10 faces or more" in error(text)
    fill_in(path, most=9)
    assert "has 9 labels" in error(path.read_text())
    fill_in(path)
    text = path.read_text()
    assert "line 2: 'bored' is not an expression" in error(
        text.replace(",surprise,", ",bored,").replace(
            rows_of(path)[0]["label"] + "," + rows_of(path)[0]["predicted"], "bored," + rows_of(path)[0]["predicted"], 1
        )
    )
    second = text.splitlines()[2]
    assert "line 32: " in error(text + second + "\n") and "is listed twice" in error(text + second + "\n")
    assert "has no face 'x.png'" in error(text.replace(rows_of(path)[0]["id"], "x.png"))
    run("suggest", "folder:office", "--count", "30", "--out", tmp_path / "t.csv", "--for", "training")
    fill_in(tmp_path / "t.csv")
    assert "fercache suggest --for estimate" in error((tmp_path / "t.csv").read_text())
    assert "no column inclusion_probability" in error("id,label,predicted,confidence\n")

    plain = estimated(settings, path)
    german = "\n".join(line.replace(",", ";").replace(".", ",").replace(",png", ".png") for line in text.splitlines())
    path.write_text(german)
    assert estimated(settings, path) == plain
    half = path.with_name("half.csv")
    half.write_text(text)
    fill_in(half, most=15)
    wider = estimated(settings, half)
    assert np.ptp(wider[0].accuracy.interval) > np.ptp(plain[0].accuracy.interval)
