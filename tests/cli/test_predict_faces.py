"""`fercache predict` of photographs: a row per face, in every format; runs, methods and thresholds."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fercache.expressions import EXPRESSIONS
from fercache.predicting import predictor as module
from tests.audits.planted import draw_folder
from tests.cli.test_wrong_use import refused
from tests.command_line import Outcome, Run
from tests.predicting.fake_detector import FakeDetector, scene

pytestmark = pytest.mark.usefixtures("pixel_encoder")

FACES = ((20, 10, 100), (250, 60, 50))
PIXELS = ("--encoder", "pixels")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A photograph with two faces, one with none, a crop and a file that is no image."""
    monkeypatch.setattr(module, "load_detector", lambda name: FakeDetector())
    folder = tmp_path / "photos"
    folder.mkdir()
    images = {"a two.png": scene(400, 300, *FACES), "b none.png": scene(400, 300), "c crop.png": scene(64, 64)}
    for name, pixels in images.items():
        Image.fromarray(pixels).save(folder / name)
    (folder / "d text.png").write_text("no image")
    return folder


def rows_of(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_csv_has_a_row_per_face_with_box_score_and_probabilities(run: Run, photos: Path) -> None:
    outcome = run("predict", photos, *PIXELS, "--csv", "faces.csv")
    assert outcome.code == 3, outcome.err
    rows = rows_of("faces.csv")
    assert [(Path(row["path"]).name, row["face"], row["left"], row["bottom"], row["score"]) for row in rows] == [
        ("a two.png", "0", "20", "110", "0.9"),
        ("a two.png", "1", "250", "110", "0.9"),
        ("b none.png", "", "", "", ""),
        ("c crop.png", "0", "", "", ""),
        ("d text.png", "", "", "", ""),
    ]
    assert rows[2]["warning"] == "no face found" and rows[4]["unreadable"] == "text, not an image"
    for row in (rows[0], rows[1], rows[3]):
        shares = {name: float(row[name]) for name in EXPRESSIONS[:7]}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
        assert row["prediction"] == max(shares, key=lambda name: shares[name])
    lines = outcome.out.splitlines()
    assert lines[0].startswith(f"{photos}/a two.png#0 at 20,10 to 120,110: ")
    assert lines[2] == f"{photos}/b none.png: no face found"


def test_json_has_the_same_faces_and_the_model(run: Run, photos: Path) -> None:
    assert run("predict", photos, *PIXELS, "--csv", "faces.csv", "--json", "out/faces.json").code == 3
    found = json.loads(Path("out/faces.json").read_text())
    assert (found["model"]["model"], found["model"]["classes"]) == ("zero-shot", list(EXPRESSIONS[:7]))
    assert [len(image.get("faces", ())) for image in found["images"]] == [2, 0, 1, 0]
    faces = [face for image in found["images"] for face in image.get("faces", ())]
    rows = [row for row in rows_of("faces.csv") if row["prediction"]]
    for face, row in zip(faces, rows, strict=True):
        assert face["expression"] == row["prediction"]
        assert {name: float(row[name]) for name in EXPRESSIONS[:7]} == pytest.approx(face["probabilities"], abs=1e-5)


def test_json_on_the_screen_is_all_that_is_there(run: Run, photos: Path) -> None:
    outcome = run("predict", photos, *PIXELS, "--json", "-", "--csv", "faces.csv", "--unknown-below", "0.99")
    found = json.loads(outcome.out)
    assert len(found["images"]) == 4 and found["model"]["unknown_below"] == 0.99
    assert {face["expression"] for face in found["images"][0]["faces"]} == {"unknown"}
    assert not Path("-").exists() and not Path("-.part").exists()


def test_drawn_images_have_the_boxes_and_inputs_stay(run: Run, photos: Path) -> None:
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    for _ in range(2):
        assert run("predict", photos / "a two.png", photos / "b none.png", *PIXELS, "--draw", photos).code == 0
    assert {path.name for path in photos.iterdir()} - set(before) == {"a two.faces.jpg"}
    assert {name: (photos / name).read_bytes() for name in before} == before
    drawn = np.asarray(Image.open(photos / "a two.faces.jpg"), int)
    scale = drawn.shape[1] / 400
    edge, outside = (drawn[round(90 * scale), round(left * scale)] for left in (21, 200))
    assert np.ptp(outside) < 12 < np.ptp(edge), "the box is coloured, the background grey"


@pytest.mark.parametrize("option", ["--csv", "--json"])
@pytest.mark.parametrize("name", ["faces.txt", "faces.jsonl", "faces"])
def test_the_format_follows_the_suffix(run: Run, photos: Path, option: str, name: str) -> None:
    refused(run("predict", photos, option, name), f"{option} {name}", option.replace("--", "."))


def test_faces_none_takes_every_image_as_a_face(run: Run, photos: Path) -> None:
    outcome = run("predict", photos / "a two.png", "--faces", "none", *PIXELS)
    assert outcome.out.count("%") == 3 and "#0" not in outcome.out and not outcome.err.count("warning")


def test_a_wrong_detector_costs_no_work(run: Run, tmp_path: Path) -> None:
    Image.fromarray(scene(64, 64)).save(tmp_path / "a.png")
    refused(run("predict", "a.png", "--faces", "mtcn"), "There is no detector 'mtcn'", "mtcnn")
    refused(run("predict", "a.png", "--faces", "yunet"), "yunet:FILE")
    refused(run("predict", "a.png", "--faces", "yunet:none.onnx"), "there is no such file")


def test_nothing_that_can_be_read_is_a_failure(run: Run, photos: Path) -> None:
    outcome = run("predict", photos / "d text.png", *PIXELS, "--csv", "faces.csv")
    refused(outcome, "could not be read", code=1)
    assert rows_of("faces.csv")[0]["unreadable"] == "text, not an image"


@pytest.fixture
def trained(run: Run, photos: Path, tmp_path: Path) -> Path:
    """Three seeds of a method, and a face."""
    source = draw_folder(tmp_path / "mine", per_class={"train": 12, "val": 6, "test": 1})
    for command in (
        ("extract", "--dataset", "folder:mine", "--root", source, *PIXELS),
        ("train", "--source", "folder:mine", "--head", "sigmoid-mask", "--seeds", "0-2", "--set", "epochs=20"),
    ):
        outcome = run(*command)
        assert outcome.code == 0, outcome.err
    return next((source / "val").rglob("*.png"))


def shares_of(outcome: Outcome) -> dict[str, float]:
    assert outcome.code == 0, outcome.err
    shares: dict[str, float] = json.loads(outcome.out)["images"][0]["faces"][0]["probabilities"]
    return shares


def test_a_method_is_the_mean_of_its_seeds(run: Run, trained: Path) -> None:
    folders = sorted(Path("cache/runs").iterdir())
    alone = [shares_of(run("predict", trained, "--run", folder.name, "--json", "-")) for folder in folders]
    assert len({tuple(shares.items()) for shares in alone}) == 3
    together = run("predict", trained, "--run", "sigmoid-mask", "--json", "-")
    mean = {name: float(np.mean([shares[name] for shares in alone])) for name in alone[0]}
    assert shares_of(together) == pytest.approx(mean, abs=1e-5)
    card = json.loads(together.out)["model"]
    assert [each["run"] for each in card["runs"]] == [folder.name for folder in folders]
    assert card["trained_on"][0]["dataset"] == "folder:mine"
    assert "sigmoid-mask-mlp (3 seeds): trained on folder:mine" in together.err
    _a_threshold_is_chosen_on_source_validation(run, trained, folders)


def _a_threshold_is_chosen_on_source_validation(run: Run, face: Path, folders: list[Path]) -> None:
    images = sorted(face.parent.parent.rglob("*.png"))
    for model in (folders[0].name, "sigmoid-mask"):
        outcome = run("predict", *images, "--run", model, "--abstain-at", "0.7", "--json", "-")
        assert outcome.code == 0, outcome.err
        answer: dict[str, Any] = json.loads(outcome.out)
        threshold, why = answer["model"]["unknown_below"], answer["model"]["unknown_because"]
        assert "42 faces of source validation (folder:mine)" in why and f"unknown below {threshold:.3f}" in outcome.err
        faces = [image["faces"][0] for image in answer["images"]]
        sure = [max(found["probabilities"].values()) >= threshold - 1e-6 for found in faces]
        assert [found["expression"] != "unknown" for found in faces] == sure
        truth = [image.parent.name for image in images]
        wrong = [found["expression"] != name for found, name, kept in zip(faces, truth, sure, strict=True) if kept]
        assert f"{sum(sure) / len(sure):.1%} of them are answered" in why
        assert f"{np.mean(wrong):.1%} of the answers are wrong" in why
        assert (sum(wrong) + 1) / (len(wrong) + 1) <= 0.7
    refused(run("predict", face, "--run", "sigmoid-mask", "--abstain-at", "0.001"), "cannot show", "larger risk")
    adapted = ("--adapt", "center", "--run", folders[0].name, "--abstain-at", "0.4")
    refused(run("predict", face, *adapted), "--adapt changes it")
