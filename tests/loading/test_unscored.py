"""The reason why runs are not scored is printed, with a command that helps."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from fercache import EncoderRequest, ExtractRequest, Settings, TrainRequest, compare, evaluate, extract, registry, train
from fercache.datasets.synthetic import Synthetic
from fercache.errors import UsageError
from fercache.options.evaluate import EvaluateRequest
from tests.audits.planted import draw_folder, extracted
from tests.pixel_encoder import PixelEncoder

pytestmark = pytest.mark.usefixtures("pixel_encoder")


def trained(settings: Settings, source: str) -> Path:
    (folder,) = train(settings, TrainRequest(source=source, heads=("class-mean",), seeds=(0,), device="cpu"))
    return folder


@pytest.fixture
def alone(settings: Settings, tmp_path: Path) -> Settings:
    """A cache with a set without splits, and a run that learnt from all of it."""
    extracted(settings, "folder:mine", draw_folder(tmp_path / "faces", per_class={"train": 6}) / "train")
    trained(settings, "folder:mine")
    return settings


def test_one_dataset_without_splits_leaves_nothing_to_score(alone: Settings) -> None:
    reason = (
        r"no target to score the runs on: .*trained on \(folder:mine\).*`fercache extract --dataset synthetic:webcam "
    )
    with pytest.raises(UsageError, match=reason):
        evaluate(alone, EvaluateRequest(device="cpu"))
    with pytest.raises(UsageError, match=f"no records in .*{reason}"):
        compare(alone)


def test_the_suggested_dataset_can_be_scored(alone: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError) as error:
        evaluate(alone, EvaluateRequest(device="cpu"))
    (command,) = re.findall("`(fercache extract[^`]*)`", str(error.value))
    assert shlex.split(command) == ["fercache", "extract", "--dataset", "synthetic:webcam", "--encoder", "pixels"]
    monkeypatch.setattr(Synthetic, "people", {"train": range(7), "test": range(7, 28)})
    extract(alone, ExtractRequest(dataset="synthetic:webcam", encoder=EncoderRequest(name="pixels")))
    assert evaluate(alone, EvaluateRequest(device="cpu"))
    assert compare(alone)[1]


def test_without_runs_a_comparison_does_not_send_to_evaluate(settings: Settings) -> None:
    with pytest.raises(UsageError, match=r"no finished runs either\. Run: fercache train"):
        compare(settings)


def test_runs_without_scores_are_to_be_evaluated(settings: Settings, tmp_path: Path) -> None:
    extracted(settings, "folder:mine", draw_folder(tmp_path / "faces", per_class={"train": 6, "test": 1}))
    trained(settings, "folder:mine")
    with pytest.raises(UsageError, match=r"Run: fercache evaluate$"):
        compare(settings)


class OtherPixels(PixelEncoder):
    """The same, by another name or in another version."""

    version = ""

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "version": type(self).version, "name": self.name}


@pytest.fixture
def other_encoder(monkeypatch: pytest.MonkeyPatch, pixel_encoder: type[PixelEncoder]) -> type[OtherPixels]:
    """`--encoder other` means OtherPixels."""
    known = {"pixels": pixel_encoder, "other": OtherPixels}
    monkeypatch.setattr(OtherPixels, "name", "other")
    monkeypatch.setattr(registry, "encoder_family", known.__getitem__)
    return OtherPixels


@pytest.mark.usefixtures("other_encoder")
def test_datasets_of_another_encoder_are_named_with_the_command(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yours = draw_folder(tmp_path / "yours", 500, per_class={"test": 6})
    extracted(settings, "folder:mine", draw_folder(tmp_path / "mine", per_class={"train": 6, "test": 1}))
    extract(settings, ExtractRequest(dataset="folder:yours", root=yours, encoder=EncoderRequest(name="other")))
    trained(settings, "folder:mine")
    capsys.readouterr()
    sentence = (
        "folder:yours: extracted with other only, so 1 run on the features of pixels cannot be scored there. "
        f"Run: fercache extract --dataset folder:yours --root {yours} --encoder pixels"
    )
    assert evaluate(settings, EvaluateRequest(device="cpu"))
    assert f"{sentence}\n" in capsys.readouterr().err
    with pytest.raises(UsageError) as error:
        evaluate(settings, EvaluateRequest(targets=("folder:yours",), device="cpu"))
    assert str(error.value) == sentence
    train(settings, TrainRequest(source="folder:yours@test", heads=("knn",), encoder="other", seeds=(0,), device="cpu"))
    with pytest.raises(UsageError, match="trained on"):
        evaluate(settings, EvaluateRequest(targets=("folder:yours",), device="cpu"))
    assert sentence in capsys.readouterr().err
    extract(settings, ExtractRequest(dataset="folder:yours", root=yours, encoder=EncoderRequest(name="pixels")))
    assert evaluate(settings, EvaluateRequest(targets=("folder:yours",), device="cpu"))
    assert "cannot be scored" not in capsys.readouterr().err


def test_datasets_of_another_version_of_the_encoder_need_new_runs(
    settings: Settings,
    tmp_path: Path,
    other_encoder: type[OtherPixels],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_other = EncoderRequest(name="other")
    mine = draw_folder(tmp_path / "mine", per_class={"train": 6, "test": 1})
    extract(settings, ExtractRequest(dataset="folder:mine", root=mine, encoder=with_other))
    trained(settings, "folder:mine")
    monkeypatch.setattr(other_encoder, "version", "2")
    extract(
        settings,
        ExtractRequest(
            dataset="folder:yours", root=draw_folder(tmp_path / "yours", 500, {"test": 1}), encoder=with_other
        ),
    )
    capsys.readouterr()
    assert evaluate(settings, EvaluateRequest(device="cpu"))
    assert (
        "folder:yours: extracted with another version of other, so 1 run on the features of other cannot be scored "
        "there. Extract the source with that version as well, then train again: "
        "fercache train --source folder:mine --head class-mean --encoder other\n"
    ) in capsys.readouterr().err
