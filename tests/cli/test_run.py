"""`fercache run` as a user calls it."""

from pathlib import Path

import pytest

from fercache.experiments import run as run_stage
from tests.command_line import Run
from tests.miniature_experiments import draw_folders

pytestmark = pytest.mark.usefixtures("pixel_encoder")

FILE = """
name = "mine"
encoder = "pixels"
sources = ["folder:one"]
targets = ["folder:two"]
seeds = [0]

[[heads]]
head = "linear-probe"

[[heads]]
head = "sigmoid-mask"
settings = { epochs = 1 }
"""


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return draw_folders(tmp_path_factory.mktemp("faces"))


@pytest.fixture(autouse=True)
def prepared(tmp_path: Path, roots: dict[str, Path]) -> None:
    roots_toml = "".join(f'"{name}" = "{root.as_posix()}"\n' for name, root in roots.items())
    (tmp_path / "fercache.toml").write_text(f"[datasets]\n{roots_toml}")
    (tmp_path / "mine.toml").write_text(FILE)


def test_one_command_does_everything_that_is_not_done(run: Run) -> None:
    dry = run("run", "mine.toml", "--dry-run")
    assert dry.code == 0, dry.err
    assert [line.split()[:2] for line in dry.out.splitlines()] == [
        ["missing", "extract"],
        ["missing", "extract"],
        ["missing", "train"],
        ["missing", "train"],
        ["missing", "evaluate"],
        ["missing", "compare"],
    ]
    assert dry.out.splitlines()[0] == "missing extract folder:one: no table yet"
    assert not Path("cache").exists() and not Path("reports").exists()
    first = run("run", "mine.toml", "--device", "cpu")
    assert first.code == 0, first.err
    assert "[3/6] train linear-probe on folder:one, 1 seed ..." in first.err
    assert "sigmoid-mask" in first.out and "page:" in first.out
    assert Path("reports/mine/index.html").is_file()
    dry = run("run", "mine.toml", "--dry-run")
    assert {line.split()[0] for line in dry.out.splitlines()} == {"done"}
    again = run("run", "mine.toml")
    assert again.code == 0 and again.err.count("already done") == 6
    assert again.out == first.out


def test_failures_are_listed_at_the_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(settings: object, request: object) -> None:
        raise RuntimeError("the memory is full")

    whole = run_stage.train
    monkeypatch.setattr(
        run_stage,
        "train",
        lambda s, request: failing(s, request) if "linear-probe" in request.heads else whole(s, request),
    )
    outcome = run("run", "mine.toml")
    assert outcome.code == 1
    assert "page:" in outcome.out
    assert outcome.err.rstrip().endswith(
        "Steps that failed or were skipped: 1. Finished steps are kept; the same command retries these.\n"
        "  train linear-probe on folder:one, 1 seed: RuntimeError: the memory is full"
    )


def test_after_an_interrupt_the_message_says_how_to_continue(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(settings: object, request: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_stage, "train", interrupted)
    outcome = run("run", "mine.toml")
    assert outcome.code == 130
    assert "the same command continues from there" in outcome.err
    assert not Path("reports").exists()


def test_a_wrong_file_is_refused_before_anything_is_done(run: Run) -> None:
    Path("mine.toml").write_text(FILE.replace("epochs", "epoch"))
    outcome = run("run", "mine.toml")
    assert outcome.code == 2
    assert "mine.toml: [[heads]] number 2 (sigmoid-mask): 'epoch' is not a setting" in outcome.err
    assert "Did you mean 'epochs'?" in outcome.err
    assert not Path("cache").exists()
    absent = run("run", "nothing.toml")
    assert absent.code == 2 and "Cannot read nothing.toml: No such file" in absent.err
