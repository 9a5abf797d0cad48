"""Predictions through the command line: where they are written, and what cannot be one."""

import csv
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fercache.predicting import classifiers, prediction_files
from fercache.predicting.results import PredictedImage
from tests.cli.test_wrong_use import refused
from tests.command_line import Run


@pytest.fixture
def photos(tmp_path: Path, studio_folder: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    images = sorted((studio_folder / "test" / "happiness").iterdir())
    for name, image in zip(("a.png", "b.png", "z.png"), images, strict=False):
        Image.open(image).save(folder / name)
    return folder


def lines_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("name", ["table.json", "table", "photos/a.png", "photos"])
def test_a_table_that_cannot_be_written_costs_no_work(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = (photos / "a.png").read_bytes()
    monkeypatch.setattr(classifiers, "load_encoder", lambda _: pytest.fail("the encoder was loaded first"))
    refused(run("predict", photos, "--csv", name), f"--csv {name}", ".csv")
    assert (photos / "a.png").read_bytes() == before


def test_missing_folders_are_made_and_nothing_is_left_beside(run: Run, photos: Path) -> None:
    outcome = run("predict", photos, "--csv", "out/deep/faces.CSV")
    assert outcome.code == 0, outcome.err
    assert [path.name for path in Path("out/deep").iterdir()] == ["faces.CSV"]
    assert [Path(line["path"]).name for line in lines_of(Path("out/deep/faces.CSV"))] == ["a.png", "b.png", "z.png"]


def test_a_name_that_is_not_utf8_is_in_the_table(run: Run, photos: Path) -> None:
    (photos / "a.png").rename(photos / os.fsdecode(b"caf\xe9.png"))
    outcome = run("predict", photos, "--csv", "faces.csv")
    assert outcome.code == 0, outcome.err
    assert {line["path"] for line in lines_of(Path("faces.csv"))} == {
        f"{photos}/{name}" for name in (r"caf\xe9.png", "b.png", "z.png")
    }
    assert "caf\\xe9.png: " in outcome.out


def test_an_interrupted_run_keeps_its_lines_and_names_the_file(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("faces.csv").write_text("of an earlier run")
    write = prediction_files.PredictionFile.write

    def third_fails(file: prediction_files.PredictionFile, image: PredictedImage) -> None:
        if file.images == 2:
            raise KeyboardInterrupt
        write(file, image)

    monkeypatch.setattr(prediction_files.PredictionFile, "write", third_fails)
    outcome = run("predict", photos, "--csv", "faces.csv")
    assert outcome.code == 130 and "faces.csv.part has the first 2 images" in outcome.err
    assert Path("faces.csv").read_text() == "of an earlier run"
    assert len(lines_of(Path("faces.csv.part"))) == 2
    monkeypatch.undo()
    assert run("predict", photos, "--csv", photos.parent / "faces.csv").code == 0
    assert len(lines_of(photos.parent / "faces.csv")) == 3 and not (photos.parent / "faces.csv.part").exists()


@pytest.fixture
def odd_files(photos: Path) -> Iterator[Path]:
    """Besides three images: a pipe, a socket, a folder and a sparse file of 4 GiB, all called as images are."""
    os.mkfifo(photos / "pipe.png")
    (photos / "folder.png").mkdir()
    with (photos / "sparse.png").open("wb") as sparse:
        sparse.truncate(4 * 2**30)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(photos / "s.png"))
        yield photos


def test_what_is_no_plain_file_is_not_waited_for_and_not_read(run: Run, odd_files: Path) -> None:
    outcome = run("predict", odd_files, "--csv", "faces.csv")
    assert outcome.code == 3, outcome.err
    assert "3 of 6 files could not be read" in outcome.err
    reasons = {Path(line["path"]).name: line["unreadable"] for line in lines_of(Path("faces.csv"))}
    assert reasons == {
        **dict.fromkeys(("a.png", "b.png", "z.png"), ""),
        **dict.fromkeys(("pipe.png", "s.png"), "cannot be read: not a plain file"),
        "sparse.png": "cannot be read: larger than 256 MB",
    }


def test_what_is_named_and_no_plain_file_does_not_stop_the_others(run: Run, odd_files: Path) -> None:
    (odd_files / "zero.png").symlink_to("/dev/zero")
    names = ("pipe.png", "s.png", "zero.png", "a.png")
    outcome = run("predict", *(odd_files / name for name in names))
    assert outcome.code == 3, outcome.err
    *odd, image = outcome.out.splitlines()
    assert [line.partition(": ")[2] for line in odd] == ["unreadable, cannot be read: not a plain file"] * 3
    assert image.startswith(f"{odd_files / 'a.png'}: ") and "%" in image
    refused(run("predict", odd_files / "pipe.png"), "could not be read", code=1)


@pytest.mark.parametrize("name", [" ", "-x", "a\nb", "C:\\x"])
def test_a_report_has_a_plain_name_before_anything_is_read(run: Run, name: str) -> None:
    for command in (("compare",), ("audit", "synthetic:studio")):
        refused(run(*command, f"--name={name}"), "--name ", "write the name of a folder")


@pytest.mark.parametrize(
    "command", [("compare",), ("audit", "synthetic:studio"), ("bench", "train"), ("bench", "extract")]
)
def test_reports_that_cannot_be_written_cost_no_work(run: Run, monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    Path("taken").touch()
    monkeypatch.setenv("FERCACHE_REPORTS", "taken")
    refused(run(*command), "taken is not a folder")
