"""`fercache cache` and the lists, as a user types them: what is there, removing it, and taking it elsewhere."""

import json
import shutil
from pathlib import Path

import pytest

from fercache.records import find_records
from tests.audits.planted import draw_folder
from tests.cli.test_wrong_use import refused
from tests.command_line import Outcome, Run

pytestmark = pytest.mark.usefixtures("pixel_encoder")


def done(outcome: Outcome) -> str:
    assert outcome.code == 0, outcome.err
    return outcome.out


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test leaves a copy of its cache for the others."""
    return tmp_path_factory.mktemp("kept") / "cache"


@pytest.fixture
def scored(run: Run, tmp_path: Path, kept: Path) -> Path:
    """Two seeds of a head and one of another, scored on their source and on another folder."""
    if kept.exists():
        shutil.copytree(kept, "cache")
        return Path("cache")
    for name in ("mine", "office"):
        draw_folder(tmp_path / name)
        done(run("extract", "--dataset", f"folder:{name}", "--root", tmp_path / name, "--encoder", "pixels"))
    train = ("train", "--source", "folder:mine", "--set", "epochs=1")
    done(run(*train, "--head", "text-similarity", "--head", "class-mean", "--seeds", "0-1"))
    done(run("evaluate"))
    shutil.copytree("cache", kept)
    return Path("cache")


def test_an_exported_cache_has_nothing_left_to_evaluate(
    run: Run, scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = done(run("cache", "export", "text-similarity", "class-mean", "shared.tar"))
    assert "shared.tar: " in out
    before = {path.relative_to(scored): path.read_bytes() for path in find_records(scored)}
    monkeypatch.setenv("FERCACHE_CACHE", "elsewhere")
    assert "files added" in done(run("cache", "import", "shared.tar"))
    assert "All runs are already scored" in done(run("evaluate"))
    new = Path("elsewhere")
    assert {path.relative_to(new): path.read_bytes() for path in find_records(new)} == before
    assert "folder:mine: " in done(run("train", "--source", "folder:mine", "--set", "epochs=1", "--seeds", "0-1"))
    assert "text-similarity" in done(run("compare"))
    assert "no problems found" in done(run("cache", "verify"))
    assert "0 files added" in done(run("cache", "import", "shared.tar"))
    refused(run("cache", "import", "nothing.tar"), "There is no file nothing.tar")
    refused(run("cache", "export", "class-mean", "shared.zip"), "ends in .tar")


def test_lists_fit_the_screen_and_their_names_can_be_typed(run: Run, scored: Path) -> None:
    for kind in ("runs", "tables"):
        lines = done(run("list", kind)).splitlines()
        assert max(map(len, lines)) <= 80, lines
    names = [each["name"] for each in json.loads(done(run("list", "runs", "--json")))]
    assert names == ["class-mean-0", "text-similarity-0", "text-similarity-1"]
    (table,) = (
        each for each in json.loads(done(run("list", "tables", "--json"))) if each["dataset"] == "folder:office"
    )
    assert len(table["runs"]) == 3 and table["state"] == "complete"
    for name in names:
        assert f"{name} " in done(run("list", "runs"))
        done(run("evaluate", "--run", name))
    assert "(McNemar" in done(run("compare", "text-similarity-1", "class-mean"))
    out = done(run("compare", "text-similarity"))
    assert "McNemar" not in out and "class-mean" not in out
    done(run("compare", "--baseline", "text-similarity-1"))
    done(run("estimate", "folder:office", "--run", "text-similarity"))
    refused(run("list", "heads", "--json"), "--json is for tables and runs")
    refused(run("evaluate", "--run", "text-similarity-2"), "Did you mean 'text-similarity-1'?")


def test_bytes_are_shown_and_freed(run: Run, scored: Path) -> None:
    before = json.loads(done(run("cache", "du", "--json")))
    assert before["bytes"] == sum(path.stat().st_size for path in scored.rglob("*") if path.is_file())
    assert max(map(len, done(run("cache", "du")).splitlines())) <= 80
    refused(run("cache", "rm", "text-similarity"), "there is no terminal to ask on. Add --yes")
    assert "2 in all" in done(run("cache", "rm", "text-similarity", "--dry-run"))
    assert json.loads(done(run("cache", "du", "--json"))) == before
    outcome = run("cache", "rm", "text-similarity", "folder:office", "--yes")
    assert "Removed" in done(outcome)
    assert "class-mean-none-0-" in outcome.err and "was scored on it" in outcome.err
    after = json.loads(done(run("cache", "du", "--json")))
    assert after["bytes"] < before["bytes"] and len(after["runs"]) == 1
    refused(run("cache", "rm", "folder:office"), "'folder:office' is not a run, table or dataset")


def test_garbage_is_collected(run: Run, scored: Path, tmp_path: Path) -> None:
    assert "there is nothing to remove" in done(run("cache", "gc"))
    draw_folder(tmp_path / "more", per_class={"test": 1})
    done(run("extract", "--dataset", "folder:spare", "--root", tmp_path / "more", "--encoder", "pixels"))
    draw_folder(tmp_path / "other", per_class={"test": 2})
    done(run("extract", "--dataset", "folder:spare", "--root", tmp_path / "other", "--encoder", "pixels"))
    assert "1 in all" in done(run("cache", "gc", "--dry-run"))
    assert "Removed 1." in done(run("cache", "gc", "--yes"))
    assert "predictions" in done(run("cache", "gc", "--predictions", "--yes"))
    assert list(scored.rglob("predictions/*.h5")) == []
    done(run("evaluate", "--again"))
    assert list(scored.rglob("predictions/*.h5")) != []
