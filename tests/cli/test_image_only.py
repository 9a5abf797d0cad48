"""An encoder without text, from a user's checkpoint to a report."""

from pathlib import Path

import pandas as pd
import pytest

from fercache.expressions import EXPRESSIONS
from tests.command_line import Run
from tests.encoders.timm_fixtures import SMALL, save_checkpoint

ENCODER = "timm--test-resnet--mine"


@pytest.fixture
def extracted(run: Run, studio_folder: Path, tmp_path: Path) -> Run:
    """`run` in a folder with one table, of `folder:studio`, without any prompts."""
    weights = save_checkpoint(tmp_path / "mine.safetensors")
    outcome = run(
        *("extract", "--dataset", "folder:studio", "--root", studio_folder),
        *("--encoder", f"timm/{SMALL}", "--weights", weights, "--precision", "fp32"),
    )
    assert outcome.code == 0, outcome.err
    assert "140 faces (140 encoded" in outcome.out
    return run


def test_heads_without_text_are_trained_and_scored(extracted: Run) -> None:
    assert not Path("cache/prompts").exists()
    trained = extracted(
        *("train", "--source", "folder:studio", "--head", "knn", "--head", "sigmoid-mask"),
        *("--seeds", "0-1", "--set", "epochs=3"),
    )
    assert trained.code == 0, trained.err
    runs = [Path(line) for line in trained.out.splitlines() if Path(line).is_dir()]
    assert len(runs) == 3  # nothing is random in knn
    assert all(folder.name.startswith(f"{ENCODER}-folder-studio-") for folder in runs)
    evaluated = extracted("evaluate", "--target", "folder:studio@test")
    assert evaluated.code == 0, evaluated.err
    assert extracted("compare").code == 0
    results = pd.read_csv("reports/latest/results.csv")
    main = results[results.readout == "main"]
    assert set(main["head"]) == {"knn", "sigmoid-mask"}
    assert (main.n == 35).all() and main.accuracy.between(0, 1).all()


def test_without_a_request_for_heads_those_with_text_are_left_out(extracted: Run) -> None:
    trained = extracted("train", "--source", "folder:studio", "--seeds", "0", "--set", "epochs=1")
    assert trained.code == 0, trained.err
    assert f"note: text-similarity is left out: the cache has no prompts by {ENCODER}" in " ".join(trained.err.split())
    (folder,) = Path("cache/runs").iterdir()
    assert "-folder-studio-sigmoid-mask-" in folder.name


def test_a_stored_memory_names_own_images(extracted: Run, studio_folder: Path) -> None:
    folder = extracted("train", "--source", "folder:studio", "--head", "knn", "--seeds", "0").out.splitlines()[0]
    outcome = extracted("predict", studio_folder / "train" / "happiness", "--run", folder, "--csv", "faces.csv")
    assert outcome.code == 0, outcome.err
    shares = pd.read_csv("faces.csv")[[*EXPRESSIONS[:7]]]
    assert len(shares) == 12 and (shares.sum(axis=1) - 1).abs().max() < 1e-3


@pytest.mark.parametrize("head", ["text-similarity", "zero-shot", "tip-adapter", "tip-adapter-f"])
def test_heads_that_need_text_are_refused_without_it(extracted: Run, head: str) -> None:
    outcome = extracted("train", "--source", "folder:studio", "--head", head, "--seeds", "0")
    assert outcome.code == 2
    assert f"{head} compares faces with text, but {ENCODER}" in outcome.err
    assert "fercache extract --dataset folder:studio" in outcome.err
    assert not Path("cache/runs").exists()
