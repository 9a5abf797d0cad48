"""Every error of a report, of synthetic faces and of real ones, from the command line."""

import csv
from pathlib import Path

import pytest

from tests.audits.planted import draw_folder
from tests.command_line import Run
from tests.datasets.miniatures.ferplus import FERPLUS, VOTES, ferplus
from tests.reporting.error_files import error_data

REPORT = Path("reports/latest")


@pytest.fixture
def scored(run: Run, tmp_path: Path, pixel_encoder: object) -> None:
    """Two heads, trained on a folder, and scored on it and on a FERPlus of four test faces."""
    ferplus(tmp_path / "real")
    draw_folder(tmp_path / "mine", per_class={"train": 6, "test": 3})
    for command in (
        ("extract", "--dataset", "ferplus", "--root", tmp_path / "real", "--encoder", "pixels"),
        ("extract", "--dataset", "folder:mine", "--root", tmp_path / "mine", "--encoder", "pixels"),
        ("train", "--source", "folder:mine", "--head", "linear-probe", "--head", "knn", "--seeds", "0"),
        ("evaluate",),
    ):
        outcome = run(*command)
        assert outcome.code == 0, outcome.err


def images() -> dict[str, int]:
    """The number of images in each file of the report."""
    read = {path: path.read_text(encoding="utf-8") for path in REPORT.rglob("*.*") if path.suffix in (".html", ".js")}
    return {
        path.relative_to(REPORT).as_posix(): count for path, text in read.items() if (count := text.count("data:image"))
    }


@pytest.mark.usefixtures("scored")
def test_real_faces_are_shown_only_with_thumbnails_but_their_votes_always(run: Run) -> None:
    assert run("compare").code == 0
    assert images() == {}
    data = error_data(REPORT)["ferplus"]
    assert set(data["image"]) == {-1} and data["votes"]["names"] == list(VOTES)
    voted = {line.name: list(line.votes) for line in FERPLUS}
    assert data["id"] and [voted[id] for id in data["id"]] == data["votes"]["counts"]
    assert error_data(REPORT)["folder:mine"]["votes"] is None
    assert run("compare", "--thumbnails").code == 0
    there = images()
    assert there["faces/ferplus-0.js"] == len(data["id"]) and there["index.html"] > 0
    assert all(place >= 0 for place in error_data(REPORT)["ferplus"]["image"])
    assert run("compare").code == 0
    assert images() == {} and not (REPORT / "faces").exists()
    next(Path("cache/features/pixels").glob("ferplus-*.h5")).unlink()
    assert run("compare").code == 0
    assert error_data(REPORT)["ferplus"]["votes"] is None


@pytest.mark.usefixtures("scored")
def test_the_listed_errors_are_those_that_two_runs_flip(run: Run) -> None:
    names = [path.name for path in sorted(Path("cache/runs").iterdir())]
    assert run("compare", *names).code == 0
    with (REPORT / "flips.csv").open(newline="") as stream:
        flipped = {
            (row["id"], row["a_right"] == "True") for row in csv.DictReader(stream) if row["target"] == "folder:mine"
        }
    assert run("compare").code == 0
    data = error_data(REPORT)["folder:mine"]
    order = [method["name"].split(" ")[0] for method in data["methods"]]
    place = [next(i for i, head in enumerate(order) if f"-{head}-" in name) for name in names]
    found = set()
    for face, (id, truth) in enumerate(zip(data["id"], data["truth"], strict=True)):
        a, b = (data["methods"][i]["answers"][0][face] == truth for i in place)
        found |= {(id, a)} if a != b else set()
    assert found == flipped
