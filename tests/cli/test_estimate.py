"""`fercache estimate` prints estimates or why there are none, and writes what it is asked to."""

from pathlib import Path

import pytest

from tests.audits.planted import draw_folder
from tests.cli.test_wrong_use import refused
from tests.command_line import Run

pytestmark = pytest.mark.usefixtures("pixel_encoder")


def test_estimates_are_printed_and_written(run: Run, tmp_path: Path) -> None:
    for place, name in enumerate(("one", "two", "three", "asked")):
        faces = {"train": 6, "test": 3} if name == "one" else {"test": 3}
        root = draw_folder(tmp_path / name, first=1000 * place, per_class=faces)
        run("extract", "--dataset", f"folder:{name}", "--root", root, "--encoder", "pixels")
    run("train", "--source", "folder:one", "--head", "knn", "--seeds", "0")
    few = run("estimate", "folder:asked")
    assert few.code == 0 and "No estimate for 1 run" in few.out
    assert few.out.splitlines()[-1] == "next: fercache suggest folder:asked"
    run("evaluate", *(word for name in ("one", "two", "three") for word in ("--target", f"folder:{name}")))
    found = run("estimate", "folder:asked", "--csv", "found.csv", "--figure", "found.svg")
    assert found.code == 0, found.err
    assert "Estimates on folder:asked, without its labels" in found.out and "next:" not in found.out
    assert Path("found.csv").read_text(encoding="utf-8").count("folder:asked") == 1
    assert Path("found.svg").read_text(encoding="utf-8").startswith("<svg")
    refused(
        run("estimate", "folder:asked", "--figure", "found.jpg"),
        "--figure found.jpg: the file's format is .svg or .png",
    )
