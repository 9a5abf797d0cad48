"""Wrong use ends in one message with the remedy, exit code 2 and no traceback."""

from pathlib import Path

import pytest

from tests.command_line import Outcome, Run


def refused(outcome: Outcome, *words: str, code: int = 2) -> None:
    assert outcome.code == code, outcome
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err, outcome.err


def test_unknown_names_suggest_the_nearest(run: Run, studio_folder: Path) -> None:
    refused(run("extrct"), "extract")
    refused(run("extract", "--dataset", "ferpluss"), "ferplus")
    refused(run("extract", "--dataset", "synthetic:studoi"), "studio")
    refused(run("extract", "--dataset", "folder", "--root", studio_folder, "--encoder", "bundeld"), "bundled")
    refused(run("train", "--head", "sigmoid-maks"), "sigmoid-mask")
    refused(run("train", "--set", "learning_rat=1"), "learning_rate")
    for value in ("inf", "nan"):
        refused(run("train", "--set", f"learning_rate={value}"), f"--set learning_rate={value}", "finite number")
        refused(run("train", "--set", f"separation_weight={value}"), "finite number", "(head sigmoid-mask)")
    refused(run("list", "haeds"), "heads")


def test_what_was_never_made_names_the_command_that_makes_it(run: Run, studio_folder: Path) -> None:
    refused(run("train", "--source", "ferplus"), "fercache extract --dataset ferplus")
    refused(run("evaluate"), "fercache train")
    refused(run("compare"), "fercache train")
    refused(run("extract", "--dataset", "ferplus"), "--root", "fercache.toml")
    run("extract", "--dataset", "folder:studio", "--root", studio_folder)
    run("train", "--source", "folder:studio", "--seeds", "0", "--set", "epochs=1")
    refused(run("evaluate", "--target", "ferplus"), "fercache extract --dataset ferplus")
    refused(run("train", "--source", "folder:studio", "--prompts", "nothing"), "faces")
    refused(run("evaluate", "--target", "folder:studio@train"), "trained on")
    refused(run("train", "--source", "folder:studio@gallery"), "'test'")
    refused(run("predict", "--run", "nothing", studio_folder), "There is no finished run")


def test_empty_and_unknown_folders(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(run("extract", "--dataset", "folder", "--root", empty), "empty")
    refused(run("extract", "--dataset", "folder", "--root", tmp_path / "absent"), "does not exist")
    (empty / "bored").mkdir()
    (empty / "bored" / "a.png").write_bytes(b"x")
    refused(run("extract", "--dataset", "folder", "--root", empty), "bored")
    refused(run("predict", empty / "none"), "does not exist")


def test_manifest_without_a_column(run: Run, tmp_path: Path) -> None:
    manifest = tmp_path / "faces.csv"
    manifest.write_text("where,label\na.png,happy\n")
    refused(run("extract", "--dataset", "manifest", "--root", manifest), "path")


def test_nothing_readable_is_a_failure(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "faces" / "happy"
    folder.mkdir(parents=True)
    for name in "abc":
        (folder / f"{name}.jpg").write_text("not an image")
    refused(run("extract", "--dataset", "folder", "--root", tmp_path / "faces"), "none of the 3 images", code=1)


def test_settings_file_with_an_unknown_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / "fercache.toml").write_text('cashe = "elsewhere"\n')
    refused(run("list", "runs"), "cache")
    (tmp_path / "fercache.toml").write_text("cache = \n")
    refused(run("list", "runs"), "fercache.toml")


@pytest.mark.parametrize("seeds", ["x", "", "3-1"])
def test_seeds_that_are_none(run: Run, seeds: str) -> None:
    refused(run("train", "--seeds", seeds), "--seeds")


def test_what_no_system_could_reach_is_reported_in_one_sentence(run: Run, studio_folder: Path, tmp_path: Path) -> None:
    refused(run("extract", "--dataset", "folder", "--root", "reference://x"), "reference://x cannot be read")
    refused(run("train", "--seeds", "0-2000000000"), "at most 10,000")
    long = "r" * 10_000
    for command in (
        ("extract", "--dataset", "folder", "--root", studio_folder, "--views", "1", "--recipe", long),
        ("extract", "--dataset", "folder", "--root", long),
        ("run", long),
        ("evaluate", "--run", long),
    ):
        outcome = run(*command)
        refused(outcome)
        assert len(outcome.err) < 1_000
    Path("loop").symlink_to("loop")
    refused(run("run", "loop"), "There is no file loop")
    refused(run("compare", "--name", "a\udcff"), "--name")


def test_an_unreadable_cache_is_not_reported_as_empty(run: Run) -> None:
    Path("cache").symlink_to("cache")
    for command in (
        ("list", "tables"),
        ("list", "runs"),
        ("evaluate",),
        ("compare",),
        ("train", "--source", "ferplus"),
    ):
        refused(run(*command), "Cannot read the folder cache/")
