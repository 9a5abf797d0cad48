"""The main job through the command line, on a small folder of synthetic faces."""

import shutil
import time
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from fercache import ExtractRequest, Settings, extract
from fercache.expressions import EXPRESSIONS
from tests.command_line import Run

HEADS = ("zero-shot", "linear-probe", "sigmoid-mask", "text-similarity")


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory, studio_folder: Path, sketch_folder: Path) -> Path:
    """A cache with folder:studio and folder:sketch."""
    cache = tmp_path_factory.mktemp("main-job") / "cache"
    for name, root in (("studio", studio_folder), ("sketch", sketch_folder)):
        extract(Settings(cache=cache), ExtractRequest(dataset=f"folder:{name}", root=root))
    return cache


@pytest.fixture
def cached(run: Run, extracted: Path) -> None:
    """A copy of that cache in the working folder."""
    shutil.copytree(extracted, "cache")


def train_all(run: Run, heads: tuple[str, ...], epochs: int) -> list[str]:
    given = [part for head in heads for part in ("--head", head)]
    outcome = run("train", "--source", "folder:studio", *given, "--seeds", "0-1", "--set", f"epochs={epochs}")
    assert outcome.code == 0, outcome.err
    return outcome.out.splitlines()


def folders_in(printed: list[str]) -> list[str]:
    return [line for line in printed if Path(line).is_dir()]


def test_four_commands_write_tables_and_a_page(run: Run, studio_folder: Path, sketch_folder: Path) -> None:
    for name, root, faces in (("studio", studio_folder, 140), ("sketch", sketch_folder, 35)):
        outcome = run("extract", "--dataset", f"folder:{name}", "--root", root)
        assert outcome.code == 0 and f"{faces} encoded, 0 copied" in outcome.out, outcome.err
    printed = train_all(run, HEADS, epochs=3)
    assert len(folders_in(printed)) == 6  # nothing is random in zero-shot and linear-probe
    assert printed[-2:] == [
        "folder:studio: 84 training faces, 21 of source validation",
        "next: fercache evaluate",
    ]
    evaluated = run("evaluate", "--target", "folder:sketch", "--target", "folder:studio@test")
    assert evaluated.code == 0, evaluated.err
    compared = run("compare")
    assert compared.code == 0, compared.err
    results = pd.read_csv("reports/latest/results.csv")
    main = results[results.readout == "main"]
    assert len(main) == 6 * 2 * 5  # runs x targets x selections
    assert set(main["head"]) == set(HEADS)
    assert main.accuracy.between(0, 1).all()
    assert (main.n == 35).all()
    assert set(results[results.readout == "groups"]["head"]) == {"sigmoid-mask"}
    assert Path("reports/latest/summary.csv").exists()
    assert Path("reports/latest/index.html").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.usefixtures("cached")
def test_what_is_done_is_not_done_again(run: Run, studio_folder: Path) -> None:
    table = next(Path("cache/features/bundled").glob("folder-studio-*.h5"))
    before = table.read_bytes()
    assert run("extract", "--dataset", "folder:studio", "--root", studio_folder).code == 0
    assert table.read_bytes() == before
    heads = ("class-mean", "sigmoid-mask", "text-similarity")  # fitted, and trained; the probe takes longest
    folders = folders_in(train_all(run, heads, epochs=1))
    assert len(folders) == 5
    weights = {folder: (Path(folder) / "head.safetensors").stat().st_mtime_ns for folder in folders}
    assert folders_in(train_all(run, heads, epochs=1)) == folders
    assert weights == {folder: (Path(folder) / "head.safetensors").stat().st_mtime_ns for folder in folders}
    assert run("evaluate", "--target", "folder:sketch").code == 0
    again = run("evaluate", "--target", "folder:sketch")
    assert again.out.startswith("All runs are already scored")


@pytest.mark.usefixtures("cached")
def test_same_command_gives_same_bits(run: Run) -> None:
    command = ("train", "--source", "folder:studio", "--seeds", "3", "--set", "epochs=2")
    folders = folders_in(run(*command).out.splitlines())
    first = [(Path(folder) / "head.safetensors").read_bytes() for folder in folders]
    for folder in folders:
        (Path(folder) / "done").unlink()
    run(*command)
    assert first == [(Path(folder) / "head.safetensors").read_bytes() for folder in folders]


@pytest.mark.usefixtures("cached")
def test_new_faces_cost_only_themselves(run: Run, studio_folder: Path, tmp_path: Path) -> None:
    grown = tmp_path / "grown"
    shutil.copytree(studio_folder, grown)
    image = next((grown / "train" / "happiness").iterdir())
    shutil.copy(image, grown / "train" / "fear" / "another.png")
    Image.open(image).rotate(15).save(grown / "train" / "happiness" / "tilted.png")
    assert "142 faces (1 encoded, 141 copied" in run("extract", "--dataset", "folder:studio", "--root", grown).out
    time.sleep(1)  # when it was extracted is known to the second
    assert "142 faces (already extracted on 20" in run("extract", "--dataset", "folder:studio", "--root", grown).out


@pytest.mark.usefixtures("cached")
def test_predict_names_own_images(run: Run, studio_folder: Path) -> None:
    images = studio_folder / "test" / "happiness"
    untrained = run("predict", images, "--csv", "faces.csv")
    assert untrained.code == 0, untrained.err
    table = pd.read_csv("faces.csv")
    assert len(table) == 5
    shares = table[[*EXPRESSIONS[:7]]]
    assert (shares.sum(axis=1) - 1).abs().max() < 1e-4
    assert (shares.idxmax(axis=1) == table.prediction).all()
    own = run("predict", images, "--sentence", "a smiling face", "--sentence", "a crying face")
    assert own.out.count("a smiling face") == 5
    folder = run("train", "--source", "folder:studio", "--seeds", "0", "--head", "class-mean").out.splitlines()[0]
    trained = run("predict", images, "--run", folder)
    assert trained.out.count("happiness") >= 4


def test_predict_names_every_file_of_a_folder_but_litter(run: Run, studio_folder: Path) -> None:
    image = next((studio_folder / "test" / "happiness").iterdir())
    for name in ("b.jfif", "c", "d.JPE", "@eaDir/b.jfif", ".ipynb_checkpoints/a.png", "Thumbs.db"):
        Path("photos", name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, Path("photos", name))
    Path("photos/e.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    lines = run("predict", "photos").out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        f"photos/{name}" for name in ("b.jfif", "c", "d.JPE", "e.heic")
    ]
    assert "a HEIC photograph" in lines[3]


@pytest.mark.usefixtures("cached")
def test_lists_and_datasets_and_verify(run: Run, studio_folder: Path) -> None:
    run("train", "--source", "folder:studio", "--seeds", "0", "--set", "epochs=1")
    assert "folder:studio" in run("list", "tables").out
    assert "sigmoid-mask-0 " in run("list", "runs").out
    assert set(HEADS) <= set(run("list", "heads").out.split())
    assert "ferplus" in run("datasets").out
    shown = run("datasets", "show", "folder", "--root", studio_folder)
    assert "happiness" in shown.out
    assert "12" in shown.out
    assert "no problems found" in run("cache", "verify").out
    table = next(Path("cache/features/bundled").glob("folder-studio-*.h5"))
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 1
    table.write_bytes(bytes(data))
    damaged = run("cache", "verify")
    assert damaged.code == 1
    assert table.name in damaged.out
