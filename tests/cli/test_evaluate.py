"""`fercache evaluate` prints which faces were scored, and which were left out and why."""

from pathlib import Path

import pytest

from tests.audits.planted import draw_folder, plant
from tests.command_line import Run
from tests.datasets.miniatures.ferplus import ferplus

pytestmark = pytest.mark.usefixtures("pixel_encoder")


def prepared(run: Run, tmp_path: Path) -> None:
    """Copies are planted in the source's own test split."""
    root = plant(draw_folder(tmp_path / "mine"))
    for command in (
        ("extract", "--dataset", "folder:mine", "--root", root, "--encoder", "pixels"),
        ("train", "--source", "folder:mine", "--head", "linear-probe", "--seeds", "0"),
    ):
        outcome = run(*command)
        assert outcome.code == 0, outcome.err


def test_with_and_without_duplicates(run: Run, tmp_path: Path) -> None:
    prepared(run, tmp_path)
    outcome = run("evaluate", "--target", "folder:mine", "--exclude-duplicates")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[:2] == [
        "folder:mine: 74 faces scored, 4 of them copies of training faces",
        "folder:mine without duplicates: 70 faces scored; left out: 4 in the source's train split",
    ]
    assert " on folder:mine: " in lines[2]
    assert lines[2].endswith("%, 74 faces, source-val")
    assert " on folder:mine without duplicates: " in lines[3]
    assert lines[3].endswith("%, 70 faces, source-val")
    again = run("evaluate", "--target", "folder:mine", "--exclude-duplicates")
    assert again.out.startswith("All runs are already scored")
    scores = [line.rpartition(": accuracy ")[2].partition("%")[0] for line in lines[2:4]]
    screen = run("compare").out
    assert "duplicates" in screen
    row, *_ = (line for line in screen.splitlines() if line.startswith("linear-probe"))
    assert row.split()[-2:] == scores
    assert "folder:mine without duplicates" in Path("reports/latest/summary.csv").read_text(encoding="utf-8")


def test_faces_without_a_label_are_counted_by_reason(run: Run, tmp_path: Path) -> None:
    prepared(run, tmp_path)
    ferplus(tmp_path / "ferplus")
    run("extract", "--dataset", "ferplus", "--root", tmp_path / "ferplus", "--encoder", "pixels")
    outcome = run("evaluate", "--target", "ferplus@train", "--target", "ferplus@validation")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0] == "ferplus@train: 3 faces scored; left out: 1 contempt, 1 no majority"
    assert lines[1] == "ferplus@validation: 1 faces scored; left out: 1 unknown"
