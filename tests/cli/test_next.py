"""The suggested next command works as printed, and keeps the given options."""

import os
import shlex
import shutil
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


@pytest.mark.usefixtures("pixel_encoder")
def test_what_a_dataset_can_be_used_for_decides(run: Run, tmp_path: Path) -> None:
    """Some have nothing to train on, or no neutral faces, which a default head needs."""
    whole = draw_folder(tmp_path / "whole", "studio", {"train": 4, "test": 2})
    for name, splits in (("two", ("train", "test")), ("scored", ("test",)), ("smiles", ("train",))):
        for split in splits:
            for expression in ("happiness", "sadness") if name != "smiles" else ("happiness",):
                shutil.copytree(whole / split / expression, tmp_path / name / split / expression)
    options = ("--encoder", "pixels")
    none = hint(run("extract", "--dataset", "folder:scored", "--root", "scored", *options))
    assert none == ["audit", "--encoder", "pixels", "folder:scored"]
    assert run(*none).code == 0
    two = hint(run("extract", "--dataset", "folder:two", "--root", "two", *options))
    assert two == ["train", "--source", "folder:two", "--head", "sigmoid-mask", "--encoder", "pixels"]
    assert hint(run(*two, "--seeds", "0", "--set", "epochs=1"))[0] == "evaluate"
    again = hint(run("extract", "--dataset", "folder:scored", "--root", "scored", *options))
    assert again == ["evaluate", "--target", "folder:scored", "--encoder", "pixels"]
    assert hint(run(*again)) == ["compare"]
    assert hint(run("extract", "--dataset", "folder:smiles", "--root", "smiles", *options))[0] == "evaluate"


@pytest.mark.usefixtures("pixel_encoder")
def test_prompts_without_an_expression_of_the_dataset_are_refused_at_once(run: Run, faces: Path) -> None:
    Path("two.toml").write_text('happy = ["a smile"]\nsad = ["a tear"]\n')
    extract = ("extract", "--dataset", "folder:mine", "--prompts", "two.toml", "--encoder", "pixels")
    refused(
        run(*extract, "--root", faces),
        "two.toml has no sentence for surprise, fear, disgust, anger, neutral, of which folder:mine has faces",
        'such as surprise = ["a surprised face"], or extract without --prompts',
    )
    assert not Path("cache").exists()
    assert run(*extract, "--root", faces, "--unlabelled").code in (0, 2)
    for expression in ("happiness", "sadness"):
        shutil.copytree(faces / "train" / expression, Path("two", expression))
    command = hint(run(*extract, "--root", "two"))
    assert command[:5] == ["train", "--source", "folder:mine", "--head", "sigmoid-mask"]
    text = run("train", "--source", "folder:mine", "--head", "zero-shot", "--prompts", "two.toml")
    assert text.code == 0, text.err
