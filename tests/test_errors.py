"""Names that files are called by are refused at once where a system could not write them."""

from pathlib import Path

import pytest

from fercache import EncoderRequest, ExtractRequest, Settings, extract
from fercache.datasets import DatasetName
from fercache.errors import UsageError, check_file_name, check_length
from fercache.experiments.config import load_experiment
from fercache.options.import_predictions import ImportRequest
from fercache.options.train import TrainRequest
from fercache.stages import train as train_stage
from fercache.stages.import_predictions import import_predictions
from fercache.stages.train import train
from tests.audits.planted import draw_folder, extracted
from tests.pixel_encoder import PixelEncoder

LONG = "n" * 230


def test_a_length_is_of_bytes() -> None:
    check_length("The name", "é" * 50)
    for check, most in ((check_length, 100), (check_file_name, 200)):
        with pytest.raises(UsageError, match=f"The name é+... is {most + 2} bytes long.*Shorten it to {most}"):
            check("The name", "é" * (most // 2 + 1))


def test_a_long_data_set_name_is_refused() -> None:
    for name in (f"folder:{LONG}", f"manifest:mine@{LONG}"):
        with pytest.raises(UsageError, match="The dataset name"):
            DatasetName.parse(name)


def test_a_long_report_is_refused_before_it_is_made() -> None:
    with pytest.raises(UsageError, match="--name"):
        Settings().report(LONG)


@pytest.mark.parametrize(
    "name", ["", " ", " a", "a ", "-x", ".hidden", "..", "a/b", "C:\\x", "a\n", "\udcff", "a\0", "a\tb"]
)
def test_what_is_no_folder_name_is_no_report(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        Settings().report(name)


@pytest.mark.parametrize("name", ["latest", "2026-11-28 second", "rafdb.v2", "b\u00fcro", "a+b@c", "_x"])
def test_what_is_a_folder_name_is_a_report(name: str) -> None:
    assert Settings().report(name) == Path("reports") / name


@pytest.mark.parametrize("key", ["name", "report"])
def test_a_long_experiment_is_refused(tmp_path: Path, key: str) -> None:
    file = tmp_path / "e.toml"
    names = {"name": "e"} | {key: LONG}
    file.write_text(
        "".join(f'{k} = "{v}"\n' for k, v in names.items()) + 'sources = ["rafdb"]\n[[heads]]\nhead = "knn"\n'
    )
    with pytest.raises(UsageError, match=f"e.toml: {key}: .*at most 100"):
        load_experiment(file)


def test_a_long_model_or_prompt_set_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    settings = Settings(cache=tmp_path / "cache")
    (tmp_path / "theirs.csv").write_text("id,happiness,anger\na,1,0\n")
    with pytest.raises(UsageError, match="the model's name"):
        import_predictions(
            settings, ImportRequest(file=tmp_path / "theirs.csv", target="ferplus", source="rafdb", model=LONG)
        )
    with pytest.raises(UsageError, match="The prompt set"):
        extract(settings, ExtractRequest(prompts=f"{LONG}.toml"))
    assert not settings.cache.exists()


def test_a_long_encoder_is_refused_before_anything_is_encoded(
    tmp_path: Path, pixel_encoder: type[PixelEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PixelEncoder, "name", "pixels")
    root = draw_folder(tmp_path / "mine", 0, {"train": 1})
    monkeypatch.setattr(PixelEncoder, "load", lambda request: Renamed())
    with pytest.raises(UsageError, match="The encoder's name"):
        extract(
            Settings(cache=tmp_path / "cache"),
            ExtractRequest(dataset="folder:mine", root=root, encoder=EncoderRequest(name="pixels")),
        )
    assert not (tmp_path / "cache").exists()


class Renamed(PixelEncoder):
    name = LONG


@pytest.mark.usefixtures("pixel_encoder")
def test_a_run_whose_name_would_be_too_long_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(cache=tmp_path / "cache")
    names = [f"folder:{letter * 80}" for letter in "abc"]
    for number, name in enumerate(names):
        extracted(settings, name, draw_folder(tmp_path / str(number), 100 * number, {"train": 3}))
    monkeypatch.setattr(train_stage, "train_run", lambda *_, **__: pytest.fail("it was trained"))
    with pytest.raises(UsageError, match="The run's name"):
        train(settings, TrainRequest(source=" & ".join(names), heads=("class-mean",), seeds=(0,), device="cpu"))
