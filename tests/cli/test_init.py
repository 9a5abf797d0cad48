"""`fercache init`: what it writes can be run, and nothing is lost."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from fercache.experiments.config import load_experiment
from fercache.settings import load_settings
from tests.cli.test_wrong_use import refused
from tests.command_line import Run
from tests.datasets.miniatures.ferplus import FERPLUS, Voted, ballot, write_folders, write_list

EXPRESSIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")


@pytest.fixture
def faces(tmp_path: Path, studio_folder: Path) -> Path:
    """A working folder with a user's folder of faces, and a few faces in the layout of FERPlus."""
    shutil.copytree(studio_folder, tmp_path / "office")
    lines = [*FERPLUS]
    for number in range(70):
        usage = ("Training", "Training", "PublicTest", "PrivateTest")[number // 7 % 4]
        lines.append(Voted(usage, f"fer{100 + number:07}.png", ballot(**{EXPRESSIONS[number % 7]: 10})))
    write_list(tmp_path / "data" / "FERPlus", lines)
    write_folders(tmp_path / "data" / "FERPlus", lines)
    return tmp_path


@pytest.mark.usefixtures("pixel_encoder")
def test_what_is_written_runs(run: Run, faces: Path) -> None:
    done = run("init")
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "folder:office  office  140 faces (train 84, validation 21, test 35), 7 expressions",
        "ferplus  data/FERPlus  81 faces (train 47, validation 16, test 18), 8 expressions",
        "written: fercache.toml",
        "written: experiment.toml",
        "next: fercache run experiment.toml --dry-run",
    ]
    assert load_settings(faces).datasets == {
        "folder:office": faces / "office",
        "ferplus": faces / "data" / "FERPlus",
    }
    assert max(map(len, Path("fercache.toml").read_text().splitlines())) <= 120
    dry = run("run", "experiment.toml", "--dry-run")
    assert dry.code == 0 and {line.split()[0] for line in dry.out.splitlines()} == {"missing"}
    assert not Path("cache").exists()
    text = Path("experiment.toml").read_text().replace("# settings = { epochs = 20 }", "settings = { epochs = 1 }")
    text = text.replace('# encoder = "ViT-B-32/openai"', 'encoder = "pixels"')
    text = text.replace("# KE2NT", "\nsettings = { epochs = 1 }")
    text = text.replace('sources = ["folder:office", "ferplus"]', 'sources = ["ferplus"]')  # half the time
    Path("experiment.toml").write_text(text.replace('seeds = "0-2"', "seeds = [0]"))
    whole = run("run", "experiment.toml")
    assert whole.code == 0, whole.err
    table = pd.read_csv("reports/experiment/results.csv")
    assert set(table["source"]) == {"ferplus"} and set(table["target"]) == {"folder:office", "ferplus"}
    assert len(set(table["head"])) == 5 and max(map(len, whole.out.splitlines())) <= 80
    assert "experiment.toml" in run("list", "experiments").out


def test_with_fewer_than_two_datasets_synthetic_faces_are_a_source(run: Run, tmp_path: Path) -> None:
    assert run("init").out.startswith("no datasets found, so the experiment uses synthetic faces")
    experiment = load_experiment(tmp_path / "experiment.toml")
    assert (experiment.sources, experiment.targets) == (("synthetic:studio",), ("synthetic",))
    shutil.copytree(tmp_path, elsewhere := tmp_path / "a" / 'Smith\'s "faces"')
    for name in ("happy", "sad"):
        (elsewhere / name).mkdir()
        (elsewhere / name / "1.png").write_bytes(b"")
    for path in elsewhere.glob("*.toml"):
        path.unlink()
    assert run("init", "a", "--name", "one", "--overwrite").code == 0
    experiment = load_experiment(tmp_path / "one.toml")
    assert (experiment.sources, experiment.targets) == (("synthetic:studio",), ("folder:smith-s-faces",))
    assert load_settings(tmp_path).datasets == {"folder:smith-s-faces": elsewhere}


def test_existing_files_are_kept_unless_asked(run: Run, faces: Path) -> None:
    Path("fercache.toml").write_text('cache = "mine"\n[datasets]\n"folder:studio" = "office"\n')
    kept = Path("fercache.toml").read_text()
    done = run("init")
    assert done.code == 0 and "written: experiment.toml" in done.out and "fercache.toml" not in done.out
    assert Path("fercache.toml").read_text() == kept
    assert load_experiment(Path("experiment.toml")).sources == ("synthetic:studio", "folder:studio")
    refused(run("init"), "experiment.toml exists", "--name", "--overwrite")
    refused(run("init", "data", "--name", "other"), "fercache.toml exists", "--overwrite")
    assert run("init", "--name", "other").code == 0 and Path("other.toml").is_file()
    assert run("init", "--overwrite").code == 0
    assert "folder:office" in Path("fercache.toml").read_text()


def test_wrong_use(run: Run, faces: Path) -> None:
    refused(run("init", "--name", "a/b"), "--name a/b", "not a path")
    refused(run("init", "--name", "fercache"), "fercache.toml holds the settings")
    refused(run("init", "nowhere"), "nowhere is not a folder")
    Path("fercache.toml").write_text('[datasets]\n"folder:office" = "data"\n')
    refused(run("init"), "fercache.toml, folder:office: data: not expressions: FERPlus")
    assert not Path("experiment.toml").exists()


def test_one_list_of_experiments(run: Run, faces: Path) -> None:
    shipped = run("list", "experiments")
    assert shipped.code == 0 and shipped.out == run("run", "--list").out
    assert "demo  " in shipped.out and "in this folder" not in shipped.out
    assert max(map(len, shipped.out.splitlines())) <= 80
    Path("mine.toml").write_text('name = "mine"\nabout = "Ours? Yes. Only ours."\n[[heads]]\nhead = "knn"\n')
    Path("notes.toml").write_text("name = 3\n")
    Path("broken.toml").write_text("[")
    lines = run("list", "experiments").out.splitlines()
    assert lines[:3] == ["in this folder", "mine.toml              Ours? Yes.", "shipped with fercache"]
