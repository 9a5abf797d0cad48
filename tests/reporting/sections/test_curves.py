"""Learning curves: what is read from a run's history, and which snapshot is marked."""

from pathlib import Path
from typing import Any

import pytest

from fercache.records import Record
from fercache.reporting.report import Report
from fercache.reporting.sections.curves import content, training
from fercache.store.run_files import run_files
from fercache.store.runs import write_run
from tests.fake_records import fake_record

CHOSEN = 3


def history(epochs: int) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "similarity": 2 / epoch,
            "self_contrast": 1 / epoch,
            "validation_accuracy": 0.5 + 0.05 * epoch,
            "validation_mean_class_recall": 0.45 + 0.05 * epoch,
            "temperature": 1.0,
            "snapshot": f"epoch-{epoch:02}",
        }
        for epoch in range(1, epochs + 1)
    ]


def run_record(cache: Path, seed: int = 0, rows: list[dict[str, Any]] | None = None, **changes: Any) -> Record:
    """A record, and the run that it is of."""
    record = fake_record("text-similarity", seed, snapshot=f"epoch-{CHOSEN:02}", **changes)
    folder = cache / "runs" / record.run
    write_run(folder, run_files(folder, config={}, history=history(6) if rows is None else rows, snapshots={}))
    return record


def test_scores_are_in_percent_terms_are_named_and_the_snapshot_is_the_records(tmp_path: Path) -> None:
    found = training(tmp_path, run_record(tmp_path))
    assert found and found.epochs == [1, 2, 3, 4, 5, 6] and found.chosen == CHOSEN
    assert found.scores["accuracy on source validation"] == pytest.approx([55, 60, 65, 70, 75, 80])
    assert list(found.scores) == ["accuracy on source validation", "mean class recall on source validation"]
    assert list(found.losses) == ["similarity", "self contrast"] and found.losses["similarity"][0] == 2


def test_a_run_without_epochs_or_that_is_gone_has_no_curve(tmp_path: Path) -> None:
    fitted = [{**row, "epoch": 0} for row in history(3)]
    assert training(tmp_path, run_record(tmp_path, rows=fitted)) is None
    assert training(tmp_path / "elsewhere", run_record(tmp_path, 1)) is None
    record = run_record(tmp_path, 2)
    with (tmp_path / "runs" / record.run / "history.csv").open("a") as file:
        file.write("7,damaged\n")
    assert training(tmp_path, record) is None
    assert content(Report("trial", [fake_record()], tmp_path)) is None
    assert content(Report("trial", [run_record(tmp_path, 3)])) is None, "there is no cache"


def test_a_method_has_one_figure_with_a_line_per_seed_and_a_circle_each(tmp_path: Path) -> None:
    found = content(Report("trial", [run_record(tmp_path, seed) for seed in range(3)], tmp_path))
    assert found and found.gist == "1 method by epoch, the chosen snapshot marked"
    (each,) = found.context["curves"]
    assert each.runs == 3 and list(found.drawings) == ["curves-synthetic-studio-text-similarity-mlp-trunk"]
    svg = each.drawing.svg
    assert "Epochs chosen: 3, 3, 3." in svg and "Highest accuracy on source validation of each seed: 80.0" in svg
    above, below = (axes.get_lines() for axes in each.drawing.figure.axes)
    assert len(above) == 3 * (2 + 1) and len(below) == 3 * 2
    marked = [line for line in above if line.get_marker() == "o"]
    assert [line.get_xydata().tolist() for line in marked] == [[[CHOSEN, pytest.approx(65)]]] * 3
