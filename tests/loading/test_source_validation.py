"""Source validation is never what is scored."""

from pathlib import Path

import pytest

from fercache import Settings, train
from fercache.loading.run_config import read_config
from fercache.loading.sources import read_source
from fercache.options.train import TrainRequest
from fercache.scoring.selection import choose
from tests.audits.planted import draw_folder, extracted

pytestmark = pytest.mark.usefixtures("pixel_encoder")


def test_five_faces_of_each_expression_are_enough_and_fewer_give_a_warning(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = ("knn", "sigmoid-mask")
    for name, count, chosen in (("many", 5, ["source validation"] * 2), ("few", 4, ["cross-validation", "last epoch"])):
        per_class = {"train": 6, "validation": count, "test": 1}
        extracted(settings, f"folder:{name}", draw_folder(tmp_path / name, per_class=per_class))
        request = TrainRequest(source=f"folder:{name}", heads=heads, seeds=(0,), set={"epochs": 3}, device="cpu")
        runs = [read_config(folder) for folder in train(settings, request)]
        assert [config.chosen_by for _, config in runs] == chosen
        printed = capsys.readouterr().err
        assert ("fewer than 5 faces of surprise, fear, disgust" in printed) == (name == "few"), printed
        assert ("To choose by source validation: add faces of them: 50 each" in printed) == (name == "few"), printed
        assert "--classes 7" not in printed
    (knn, config), (mask, trained) = runs
    assert config.rows_chosen_by == 42 and trained.rows_chosen_by == 28
    assert all((42 * row["validation_accuracy"]) % 1 == pytest.approx(0, abs=1e-9) for row in knn.history)
    for policy in ("source-val", "source-1se", "last"):
        assert choose(policy, mask.history, 28, too_few=trained.too_few) == "epoch-03"


@pytest.mark.parametrize(
    ("splits", "validation"),
    [
        ({"train": 20, "validation": 5, "test": 5}, 7 * 5),
        ({"train": 20, "validation": 5}, 7 * 2),  # its validation split is scored, so a tenth of train is held out
        ({"train": 20, "test": 5}, 7 * 2),
    ],
)
def test_a_validation_split_that_is_scored_chooses_no_epoch(
    settings: Settings, tmp_path: Path, splits: dict[str, int], validation: int
) -> None:
    extracted(settings, "folder:mine", draw_folder(tmp_path / "mine", per_class=splits))
    source = read_source(settings, TrainRequest(source="folder:mine", device="cpu"))
    assert len(source.faces.validation) == validation
    assert len(source.faces.train) == 7 * 20 - (0 if validation == 7 * 5 else validation)


def test_where_only_contempt_is_rare_it_can_be_left_out(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = draw_folder(tmp_path / "eight", per_class={"train": 6, "validation": 6, "test": 1})
    for split, name in (("train", "anger"), ("train", "fear"), ("validation", "sadness")):
        image = sorted((root / split / name).iterdir())[0]
        (root / split / "contempt").mkdir(exist_ok=True)
        image.rename(root / split / "contempt" / image.name)
    extracted(settings, "folder:eight", root)
    train(settings, TrainRequest(source="folder:eight@train", heads=("class-mean",), classes=8, device="cpu"))
    assert "leave contempt out: --classes 7" in capsys.readouterr().err
