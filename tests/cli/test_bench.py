"""`fercache bench train` on a few faces: what it compares and writes, not how long it takes."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from fercache.bench.training import BARE, PRODUCTS, TOGETHER, bare_loop
from fercache.contracts.feature_space import faces, task
from fercache.heads.sigmoid_mask import SigmoidMask, SigmoidMaskSettings
from fercache.training import SourceFaces, build_head, fit
from tests.command_line import Run

OURS = ["fit, fp32", "fit, bf16"]
TINY = ("--epochs", "1", "--faces", "24", "--rounds", "2")


def test_each_batch_size_has_a_line_for_each_loop(run: Run, tmp_path: Path) -> None:
    outcome = run("bench", "train", *TINY, "--dimension", "21", "--batch-size", "8", "--batch-size", "12")
    assert outcome.code == 0, outcome.err
    assert "scaled from 1" in outcome.out
    table = pd.read_csv(tmp_path / "reports" / "bench-train.csv")
    assert table["batch_size"].tolist() == [8] * 6 + [12] * 6
    assert table["loop"].tolist() == [PRODUCTS, BARE, *OURS, *(loop + TOGETHER for loop in OURS)] * 2
    assert (table["seconds"] >= 0).all()
    assert table["ratio"][table["loop"] == BARE].tolist() == [1.0, 1.0]
    learns = table["loop"] != PRODUCTS
    assert table["accuracy"][learns].between(0, 1).all() and table["accuracy"][~learns].isna().all()


def test_with_crops_there_are_no_matrix_products_to_compare_with(run: Run, tmp_path: Path) -> None:
    pixels = ("--trunk", "resnet18", "--crops", "32", "--batch-size", "12", "--dimension", "21")
    outcome = run("bench", "train", *TINY, *pixels)
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(tmp_path / "reports" / "bench-train.csv")
    assert table["loop"].tolist() == [BARE, *OURS]


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--trunk", "resnet18"), "resnet18 sees pixels: add --crops"), (("--crops", "32"), "leave out --crops")],
)
def test_a_trunk_and_crops_that_do_not_fit_are_refused(run: Run, options: tuple[str, ...], message: str) -> None:
    outcome = run("bench", "train", *TINY, *options)
    assert outcome.code == 2
    assert message in outcome.err


def test_the_bare_loop_learns_what_ours_learns() -> None:
    """Otherwise their times would not be comparable."""
    chosen = SigmoidMaskSettings.model_validate({"epochs": 3, "batch_size": 16, "schedule": "constant"})
    train = faces(70, 1)
    heads = [build_head(SigmoidMask, task(), chosen, 1) for _ in range(2)]
    assert isinstance(heads[0], SigmoidMask) and isinstance(heads[1], SigmoidMask)
    bare_loop(heads[0], train, chosen, seed=1)
    fit(heads[1], SourceFaces(train, faces(35, 2)), chosen, seed=1)
    for one, two in zip(heads[0].parameters(), heads[1].parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_the_stages_of_an_extraction_are_shown_and_written(run: Run, tmp_path: Path) -> None:
    outcome = run("bench", "extract", "--device", "cpu", "--images", "4", "--rounds", "1")
    assert outcome.code == 0, outcome.err
    assert "round 1 of 1" in outcome.err
    table = pd.read_csv(tmp_path / "reports" / "bench-extract.csv")
    assert (table["faces_per_second"] > 0).all()
    assert all(stage in outcome.out for stage in table["stage"])
    assert "bench-extract.csv" in outcome.out
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--images", "1"), "--images"),
        (("--rounds", "0"), "--rounds"),
        (("--encoder", "nonsense"), "There is no encoder 'nonsense'"),
        (("--weights", "absent.safetensors"), "absent.safetensors: no such file"),
    ],
)
def test_what_an_extraction_cannot_be_timed_with_is_refused(
    run: Run, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    outcome = run("bench", "extract", *options)
    assert outcome.code == 2
    assert message in outcome.err
    assert not (tmp_path / "reports").exists()
