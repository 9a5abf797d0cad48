"""`fercache export`: the folder, the instructions in it, and what is refused."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from fercache import EvaluateRequest, ExtractRequest, Settings, TrainRequest, evaluate, extract, train
from fercache.expressions import EXPRESSIONS
from fercache.onnx_files import check as checking
from fercache.onnx_files import export as stage
from fercache.onnx_files import quantised
from fercache.synthetic_faces import DOMAINS
from tests.audits.planted import draw_folder
from tests.cli.test_wrong_use import refused
from tests.command_line import Run

FACE_SIDE = 90


@pytest.fixture(scope="module")
def cache(studio_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with runs of two heads on the bundled encoder."""
    folder = tmp_path_factory.mktemp("cache")
    settings = Settings(cache=folder)
    extract(settings, ExtractRequest(dataset="folder:mine", root=studio_folder, shifted=False))
    train(settings, TrainRequest(source="folder:mine", heads=("gda", "class-mean"), seeds=(0,), device="cpu"))
    evaluate(settings, EvaluateRequest(device="cpu"))
    return folder


@pytest.fixture
def in_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERCACHE_CACHE", str(cache))


def predicted(run: Run, *options: str) -> dict[str, float]:
    outcome = run("predict", "face.png", "--csv", "out.csv", *options)
    assert outcome.code == 0, outcome.err
    with Path("out.csv").open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    return {name: round(100 * float(row[name]), 1) for name in EXPRESSIONS[:7]}


@pytest.mark.usefixtures("in_cache")
def test_the_instructions_give_what_predict_gives(run: Run, studio_folder: Path) -> None:
    image = next((studio_folder / "test" / "happiness").iterdir())
    Image.open(image).resize((FACE_SIDE, FACE_SIDE)).save("face.png")
    outcome = run("export", "gda", "--out", "out")
    assert outcome.code == 0, outcome.err
    assert "out/pixels.onnx" in outcome.out and "out/features.onnx" in outcome.out
    (code,) = re.findall("```python\n(.*?)```", Path("out/README.md").read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) == 10
    shutil.copy("face.png", "out/face.jpg")  # its content counts, not its name
    done = subprocess.run([sys.executable, "-c", code], cwd="out", capture_output=True, text=True, check=True)
    printed = {name: float(share) for name, share in re.findall(r"(\w+): ([\d.]+)%", done.stdout)}
    assert printed == pytest.approx(predicted(run, "--run", "gda"), abs=0.11)


@pytest.mark.usefixtures("in_cache")
def test_the_card_says_where_it_comes_from(run: Run) -> None:
    assert run("export", "class-mean", "--out", "out").code == 0
    card = json.loads(Path("out/card.json").read_text())
    assert card["head"] == "class-mean" and len(card["classes"]) == 7
    assert card["trained_on"] == [{"dataset": "folder:mine", "split": "train", "licence": "your own images"}]
    assert "ferplus@train" in card["encoder"]["trained_on"]
    assert [score["own_domain"] for score in card["scores"]] == [True] and card["never_shown"] == []
    assert card["input"]["side"] is None and card["input"]["alignment"]["margin"] >= 0
    for name in ("pixels.onnx", "features.onnx"):
        assert 0 <= card["files"][name]["largest_difference"] <= 1e-4
    assert {each.domain for each in checking.drawn_faces()} == set(DOMAINS)


@pytest.mark.usefixtures("in_cache")
def test_weights_of_8_bits_are_smaller_and_their_cost_is_stated(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantised, "PER_EXPRESSION", 1)
    outcome = run("export", "zero-shot", "--out", "out", "--int8")
    assert outcome.code == 0, outcome.err
    card, files = json.loads(Path("out/card.json").read_text()), Path("out")
    assert (files / "pixels.int8.onnx").stat().st_size < 0.4 * (files / "pixels.onnx").stat().st_size
    assert card["int8"]["faces"] == 4 * 8 and card["int8"]["same_answer"] > 0.7
    assert set(card["int8"]["by_domain"]) == set(DOMAINS)
    shown = f"accuracy {card['int8']['accuracy']:.1%} instead of {card['int8']['accuracy_fp32']:.1%}"
    assert shown in outcome.out and shown in Path("out/README.md").read_text()


@pytest.mark.usefixtures("in_cache")
def test_a_file_that_differs_is_removed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    by_torch = checking.by_torch
    monkeypatch.setattr(stage, "by_torch", lambda *given: by_torch(*given) + 3e-4)
    outcome = run("export", "class-mean", "--out", "out")
    assert outcome.code == 1 and "pixels.onnx differs from PyTorch: a probability by 3.0e-04" in outcome.err
    assert list(Path("out").iterdir()) == []


@pytest.mark.usefixtures("pixel_encoder")
def test_an_encoder_without_a_network_has_a_file_from_features(run: Run, tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "mine", per_class={"train": 6, "test": 1})
    for command in (
        ("extract", "--dataset", "folder:mine", "--root", root, "--encoder", "pixels"),
        ("train", "--source", "folder:mine", "--head", "class-mean", "--seeds", "0"),
    ):
        assert run(*command).code == 0
    outcome = run("export", "class-mean", "--out", "out", "--int8")
    assert outcome.code == 0, outcome.err
    assert "without pixels.onnx: The encoder pixels is not a network" in outcome.err
    assert sorted(path.name for path in Path("out").iterdir()) == ["README.md", "card.json", "features.onnx"]
    features = np.zeros((3, 32), np.float32)
    (shares,) = onnxruntime.InferenceSession("out/features.onnx").run(None, {"features": features})
    assert shares.sum(axis=1) == pytest.approx(1)
    np.save("out/features.npy", features)
    (code,) = re.findall("```python\n(.*?)```", Path("out/README.md").read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd="out", capture_output=True, text=True, check=True)
    assert done.stdout.count("'") == 6


def test_wrong_use_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(run("export", "nothing", "--out", "out"), "nothing")
    Path("mine").mkdir()
    Path("mine/README.md").touch()
    refused(run("export", "zero-shot", "--out", "mine"), "--out mine holds other files")
    find: Any = stage.importlib.util.find_spec
    monkeypatch.setattr(stage.importlib.util, "find_spec", lambda name: None if name == "onnx" else find(name))
    refused(run("export", "zero-shot", "--out", "out"), "pip install 'fercache[export]'")
    assert not Path("out").exists()
