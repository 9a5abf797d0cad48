"""A small folder of synthetic faces, and a way to call the command line as a user would."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from fercache.cli import main
from fercache.synthetic_faces import EXPRESSIONS, draw, sample_face

SEED = 77
PER_CLASS = {"train": 12, "val": 3, "test": 5}


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


def draw_folder(root: Path, style: str, per_class: dict[str, int]) -> Path:
    index = 0
    for split, count in per_class.items():
        for expression in EXPRESSIONS:
            folder = root / split / expression
            folder.mkdir(parents=True)
            for _ in range(count):
                index += 1
                face = sample_face(SEED, index, style, expression)
                Image.fromarray(draw(face, 64)).save(folder / f"{index:04}.png")
    return root


@pytest.fixture(scope="session")
def studio_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("studio"), "studio", PER_CLASS)


@pytest.fixture(scope="session")
def sketch_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("sketch"), "sketch", {"test": 5})


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the tests of a module share."""
    return tmp_path_factory.mktemp("shelf")


def prepare_once(prepare: Callable[[], None], folder: Path, shelf: Path) -> None:
    """Fills `folder` by `prepare`, or by a copy of what the first call for a `shelf` made."""
    kept = shelf / "kept"
    if kept.exists():
        shutil.copytree(kept, folder, dirs_exist_ok=True)
    else:
        prepare()
        shutil.copytree(folder, kept)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("extract", "--dataset", ...)` in an empty working folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["fercache", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
