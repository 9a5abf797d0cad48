"""The suggested next command works as printed, and keeps the given options."""

import os
import shlex
from pathlib import Path

import pytest

from fercache.errors import UsageError
from fercache.loading.run_names import resolve
from tests.cli.test_wrong_use import refused
from tests.command_line import Outcome, Run, draw_folder
from tests.encoders.timm_fixtures import SMALL, save_checkpoint

ENCODER = "timm--test-resnet--mine"


def hint(outcome: Outcome) -> list[str]:
    assert outcome.code == 0, outcome.err
    last = outcome.out.splitlines()[-1]
    assert last.startswith("next: fercache ")
    return shlex.split(last)[2:]


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "my faces", "studio", {"train": 3, "test": 1})


def test_the_users_own_prompts_are_kept(run: Run, faces: Path) -> None:
    extracted = run("extract", "--dataset", "folder:mine", "--root", faces, "--prompts", "ke2nt")
    command = hint(extracted)
    assert command == ["train", "--source", "folder:mine", "--prompts", "ke2nt"]
    assert hint(run(*command, "--seeds", "0", "--set", "epochs=1")) == ["evaluate"]


def test_an_encoder_is_kept_and_heads_that_it_cannot_serve_are_left_out(run: Run, faces: Path, tmp_path: Path) -> None:
    weights = save_checkpoint(tmp_path / "mine.safetensors")
    options = ("--encoder", f"timm/{SMALL}", "--weights", weights, "--precision", "fp32")
    command = hint(run("extract", "--dataset", "folder:mine", "--root", faces, *options))
    assert command == [
        "train",
        "--source",
        "folder:mine",
        "--head",
        "sigmoid-mask",
        "--encoder",
        "timm--test-resnet--mine",
    ]
    then = hint(run(*command, "--seeds", "0", "--set", "epochs=1"))
    assert then == ["evaluate", "--encoder", ENCODER]
    assert run(*then).code in (0, 2)


def test_what_is_missing_is_shown(run: Run) -> None:
    refused(run("list"), "fercache list encoders, fercache list detectors")
    refused(run("extract", "my faces/"), "fercache extract --dataset folder:NAME --root 'my faces/'")


@pytest.mark.parametrize(
    ("given", "meant"),
    [("lr", "learning_rate"), ("wd", "weight_decay"), ("batch", "batch_size"), ("num_epochs", "epochs")],
)
def test_settings_by_their_usual_names(run: Run, faces: Path, given: str, meant: str) -> None:
    refused(run("train", "--set", f"{given}=1"), f"Did you mean '{meant}'?")


def test_of_many_runs_the_latest_few_are_named(run: Run, tmp_path: Path) -> None:
    folders = [tmp_path / "runs" / f"bundled-studio-sigmoid-mask-mlp-{seed}-{seed:08}" for seed in range(9)]
    for folder in folders:
        folder.mkdir(parents=True)

    for place, folder in enumerate(folders):
        os.utime(folder, (place, place))

    with pytest.raises(UsageError) as caught:
        resolve(folders, "sigmoid-mask")
    latest = ", ".join(folder.name for folder in folders[:5:-1])
    assert f"'sigmoid-mask' is a part of 9 names, latest first: {latest} and 6 more. `fercache list runs`" in str(
        caught.value
    )
    assert len(str(caught.value)) < 350
    assert resolve(folders, "00000004") == [folders[4]]
    with pytest.raises(UsageError, match="There is no finished run 'nothing'"):
        resolve(folders, "nothing")
