"""Heads on trunks that look at pixels, through the command line: views and crops, training, scores, own images."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image
from safetensors.numpy import load_file

from fercache.expressions import EXPRESSIONS
from fercache.records import find_records, read_record
from tests.audits.planted import wallpaper
from tests.cli.test_wrong_use import refused
from tests.command_line import Outcome, Run

SEVEN = EXPRESSIONS[:7]
TRUNK = "resnet10t"
FACES = {"train": 6, "test": 2}
"""Per expression. Not faces but wallpapers, which are made quicker: one of the expression, one of the image."""


def paper_folder(root: Path, first: int = 0, without: str = "") -> Path:
    for split, count in FACES.items():
        for number, expression in enumerate(SEVEN):
            if expression == without:
                continue
            folder = root / split / expression
            folder.mkdir(parents=True)
            for _ in range(count):
                pixels = 0.6 * wallpaper(0, number) + 0.4 * wallpaper(1, first)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{first:03}.png")
                first += 1
    return root


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paper_folder(tmp_path_factory.mktemp("papers"))


def extract(run: Run, root: Path, *options: object, name: str = "mine") -> Outcome:
    outcome = run("extract", "--dataset", f"folder:{name}", "--root", root, *options)
    assert outcome.code == 0, outcome.err
    return outcome


def train(run: Run, *options: object, heads: tuple[str, ...] = ("sigmoid-mask",), name: str = "mine") -> Outcome:
    named = [part for head in heads for part in ("--head", head)]
    command = ("train", "--source", f"folder:{name}", *named, "--seeds", "0", "--set", "epochs=1")
    return run(*command, "--trunk", TRUNK, *options)


def folders(outcome: Outcome) -> list[Path]:
    assert outcome.code == 0, outcome.err
    return [Path(line) for line in outcome.out.splitlines() if Path(line).is_dir()]


def test_a_run_shows_its_progress_within_itself(run: Run, papers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extract(run, papers, "--crops", 32)
    bars: list[tuple[int, list[int]]] = []

    @contextmanager
    def recorded(what: str, total: int, unit: str) -> Iterator[Any]:
        bars.append((total, []))
        yield SimpleNamespace(update=bars[-1][1].append, set_postfix_str=lambda text, refresh: printed.append(text))

    printed: list[str] = []
    monkeypatch.setattr("fercache.stages.train.progress", recorded)
    assert len(folders(train(run, "--set", "epochs=2", "--set", "batch_size=16", "--seeds", "0-1"))) == 2
    (total, updates), faces = bars[0], FACES["train"] * len(SEVEN)
    kept = sum(updates)
    assert total == kept and 2 * 2 * (faces - 7) <= kept <= 2 * 2 * faces
    assert len([n for n in updates if n > 0]) >= 2 * 2 * 2  # several a run and epoch
    assert printed == ["1 of 2 runs", "2 of 2 runs"]
    train(run, "--set", "epochs=2", "--set", "batch_size=16", "--seeds", "0-1")
    assert bars[1] == (0, [])


def test_from_images_to_scores_and_back(run: Run, papers: Path) -> None:
    extracted = extract(run, papers, "--views", 1, "--crops", 32)
    assert "crops of 32 pixels" in extracted.out and "views: cafe x 1: at most 56 encodings" in extracted.err
    trained = train(run, "--set", "recipe=cafe", heads=("sigmoid-mask", "text-similarity"))
    made = folders(trained)
    assert [TRUNK in folder.name for folder in made] == [True, True]
    assert folders(train(run, "--set", "recipe=cafe", heads=("sigmoid-mask", "text-similarity"))) == made
    (plain,) = folders(train(run))  # without views: another run
    assert plain not in made
    evaluated = run("evaluate", "--target", "folder:mine@test")
    assert evaluated.code == 0, evaluated.err
    assert run("compare").code == 0
    results = pd.read_csv("reports/latest/results.csv")
    main = results[results.readout == "main"]
    assert set(main["head"]) == {"sigmoid-mask", "text-similarity"}
    assert set(main["trunk"]) == {TRUNK}
    assert (main.n == 14).all() and main.accuracy.between(0, 1).all()
    image = next((papers / "test" / "anger").iterdir())
    for folder in made:
        outcome = run("predict", image, "--run", folder, "--csv", "one.csv")
        assert outcome.code == 0, outcome.err
        shares = pd.read_csv("one.csv")[[*SEVEN]]
        assert abs(shares.to_numpy().sum() - 1) < 1e-4


def test_only_snapshots_that_a_policy_chooses_are_kept(run: Run, papers: Path) -> None:
    extract(run, papers, "--crops", 32)
    (folder,) = folders(train(run, "--set", "epochs=6", "--set", "batch_size=16"))
    stored = {name.partition("/")[0] for name in load_file(folder / "head.safetensors")} - {"task"}
    history = pd.read_csv(folder / "history.csv", keep_default_na=False)
    assert set(history["snapshot"]) - {""} == stored
    evaluated = run("evaluate", "--target", "folder:mine@test")
    assert evaluated.code == 0, evaluated.err
    records = [read_record(path) for path in find_records(Path("cache"))]
    assert {record.snapshot for record in records if record.selection != "oracle"} == stored
    assert {record.snapshot for record in records if record.selection == "oracle"} <= stored


def test_the_same_command_gives_the_same_weights(run: Run, papers: Path) -> None:
    extract(run, papers, "--views", 1, "--crops", 32)
    (folder,) = folders(train(run, "--set", "recipe=cafe"))
    weights = (folder / "head.safetensors").read_bytes()
    (folder / "done").unlink()
    train(run, "--set", "recipe=cafe")
    assert (folder / "head.safetensors").read_bytes() == weights


def test_weights_of_a_face_recognition_network(run: Run, papers: Path, tmp_path: Path) -> None:
    """As MS-Celeb checkpoints are saved: beside an epoch, with a wrapper's prefix, with a classifier of identities."""
    state = timm.create_model(TRUNK, pretrained=False, num_classes=3).state_dict()
    checkpoint = {"epoch": 4, "state_dict": {f"module.{key}": value for key, value in state.items()}}
    torch.save(checkpoint, tmp_path / "celebrities.pth")
    extract(run, papers, "--crops", 32)
    (random,) = folders(train(run))
    outcome = train(run, "--trunk-weights", "celebrities.pth", "--set", "learning_rate=1e-12")
    (filled,) = folders(outcome)
    assert filled != random
    assert "celebrities.pth: entries that resnet10t does not use: fc.weight, fc.bias" in outcome.err
    stored = load_file(filled / "head.safetensors")
    name = next(key for key in stored if key.endswith("trunk.backbone.network.conv1.0.weight"))
    np.testing.assert_allclose(stored[name], state["conv1.0.weight"].numpy(), atol=1e-6)


def test_weights_of_another_shape_are_refused(run: Run, papers: Path, tmp_path: Path) -> None:
    state = timm.create_model(TRUNK, pretrained=False).state_dict()
    torch.save({**state, "conv1.0.weight": torch.ones(2, 3)}, tmp_path / "shape.pth")
    torch.save({"weight": torch.ones(2, 3)}, tmp_path / "other.pth")
    extract(run, papers, "--crops", 32)
    shape = train(run, "--trunk-weights", "shape.pth")
    refused(shape, "shape.pth does not fit resnet10t", "conv1.0.weight has 2 x 3 instead of 24 x 3 x 3 x 3")
    refused(train(run, "--trunk-weights", "other.pth"), "missing conv1.0.weight", "The file has weight.")
    refused(train(run, "--trunk-weights", "absent.pth"), "absent.pth: no such file")
    assert not Path("cache/runs").exists()


def test_without_crops_or_views_the_command_is_named(run: Run, papers: Path) -> None:
    extract(run, papers)
    command = f"fercache extract --dataset folder:mine --root {papers}"
    refused(train(run), "folder:mine has no stored crops", f"{command} --crops 112")
    refused(train(run, "--set", "crops=48"), f"{command} --crops 48")
    extract(run, papers, "--crops", 32)
    refused(train(run, "--set", "crops=48"), "It has crops of 32 pixels", f"{command} --crops 48")
    refused(train(run, "--set", "recipe=cafe"), "no views of the recipe 'cafe'", f"{command} --views 4 --recipe cafe")


def test_a_target_without_crops_is_reported(run: Run, papers: Path, tmp_path: Path) -> None:
    other = paper_folder(tmp_path / "other", first=100)
    extract(run, papers, "--crops", 32)
    extract(run, other, name="other")
    folders(train(run))
    refused(run("evaluate", "--target", "folder:other"), "folder:other has no stored crops of 32 pixels", "--crops 32")


def test_unknown_names_are_refused(run: Run, papers: Path) -> None:
    refused(run("train", "--source", "folder:mine", "--trunk", "resnet81"), "There is no trunk 'resnet81'", "resnet18")
    refused(run("extract", "--dataset", "folder:mine", "--root", papers, "--recipe", "caffe", "--views", 1), "'cafe'")
    refused(train(run, heads=("linear-probe",)), "'trunk' is not a setting of linear-probe")


@pytest.mark.parametrize("head", ["text-similarity", "masked-text"])
@pytest.mark.parametrize("trunk", [TRUNK, "mlp"])
def test_a_source_without_neutral_faces_is_refused(run: Run, tmp_path: Path, head: str, trunk: str) -> None:
    extract(run, paper_folder(tmp_path / "papers", without="neutral"), "--crops", 32)
    refused(train(run, "--trunk", trunk, heads=(head,)), "the source has no neutral faces", "sigmoid-mask")
