"""`fercache datasets` shows the root of every dataset and what is found there."""

import csv
import io
from pathlib import Path

import pytest

from fercache import registry
from tests.cli.test_wrong_use import refused
from tests.command_line import Run
from tests.conftest import REPOSITORY
from tests.datasets.miniatures.ferplus import ferplus
from tests.datasets.miniatures.own_images import folder


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    """A working folder with FERPlus, a user's folder of faces, and a root without RAF-DB."""
    ferplus(tmp_path / "b")
    folder(tmp_path / "a")
    (tmp_path / "fercache.toml").write_text('[datasets]\nferplus = "b"\n"folder:office" = "a"\nrafdb = "a"\n')
    return tmp_path


def test_all_datasets_and_the_problems_of_one(run: Run, roots: Path) -> None:
    outcome = run("datasets")
    assert outcome.code == 0
    assert outcome.err == "fercache datasets: starting\n"
    lines = outcome.out.splitlines()
    (verdict,) = (line for line in lines if line.startswith("ferplus  b  "))
    assert verdict.endswith("counts differ")
    assert "mmafedb  no root yet" in lines
    assert "  test       4 of 3,574" in lines
    assert any(line.startswith("  test       fer2013new: neutral 0 of 1,090  happiness 0 of 893") for line in lines)
    assert any("synthetic:studio" in line for line in lines)
    (problem,) = (i for i, line in enumerate(lines) if line.startswith("rafdb"))
    assert lines[problem + 1].startswith("  rafdb: ")
    assert "Expected:" in " ".join(lines[problem + 1 :])


def test_counts_that_agree_are_not_repeated(run: Run, roots: Path) -> None:
    lines = run("datasets", "show", "synthetic:night").out.splitlines()
    start = lines.index("synthetic:night    all as expected")
    assert lines[start + 1].startswith("  test       800 of 800  surprise 114  fear 115")
    office = run("datasets", "show", "folder:office").out
    assert "  train      16  surprise 2  fear 2" in office


def test_lines_are_as_wide_as_a_terminal(run: Run, roots: Path) -> None:
    for arguments in (("datasets",), ("datasets", "show", "synthetic:studio"), ("datasets", "show", "ferplus")):
        lines = run(*arguments).out.splitlines()
        assert [line for line in lines if len(line) > 80 and "://" not in line] == []
    assert "  happiness 114\n             sadness 114  anger 114" in run("datasets").out


def test_csv(run: Run, roots: Path) -> None:
    outcome = run("datasets", "--csv")
    assert outcome.code == 0
    found = list(csv.DictReader(io.StringIO(outcome.out)))
    images = next(row for row in found if (row["dataset"], row["split"], row["label"]) == ("ferplus", "test", "all"))
    assert (images["expected"], images["found"], images["agrees"]) == ("3574", "4", "False")
    assert Path(images["root"]).resolve() == roots / "b"
    assert {row["dataset"] for row in found} >= {"ferplus", "folder:office", "synthetic:studio"}
    (refused,) = (row for row in found if row["dataset"] == "rafdb")
    assert refused["problem"].startswith("rafdb: ")
    assert refused["found"] == ""
    shown = list(csv.DictReader(io.StringIO(run("datasets", "show", "ferplus", "--csv").out)))
    assert shown == [row for row in found if row["dataset"] == "ferplus"]


@pytest.mark.parametrize("name", registry.names("datasets"))
def test_every_dataset_can_be_shown(run: Run, name: str) -> None:
    outcome = run("datasets", "show", name)
    assert outcome.code == 0, outcome.err
    dataset = registry.load("datasets", name)
    words = " ".join(outcome.out.split())
    assert dataset.homepage in outcome.out, "in one piece"
    assert outcome.out.startswith(f"{name}\n")
    for fact in (dataset.layout, dataset.licence, dataset.citation, *dataset.expressions):
        assert " ".join(fact.split()) in words
    assert max(len(line) for line in outcome.out.splitlines() if "http" not in line) <= 120
    if dataset.needs_root:
        assert outcome.out.rstrip().endswith("no root yet")


def test_a_root_of_another_layout_is_reported(run: Run, tmp_path: Path) -> None:
    outcome = run("datasets", "show", "rafdb", "--root", tmp_path / "nowhere")
    assert outcome.code == 0
    assert "nowhere" in outcome.out
    assert "Expected:" in outcome.out
    refused(run("datasets", "show", "rafbd"), "rafdb")
    refused(run("datasets", "show", "synthetic:studoi"), "studio")


def test_the_page_comes_from_the_command(run: Run) -> None:
    outcome = run("datasets", "--markdown")
    assert outcome.out == (REPOSITORY / "docs" / "datasets.md").read_text(encoding="utf-8")
