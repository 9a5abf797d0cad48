"""Caches of earlier versions: what must stay valid does, and repeated work is announced with its cost."""

import json
import re
import tarfile
from pathlib import Path

import pytest

from fercache import EncoderRequest, ExtractRequest, Settings, extract, registry
from fercache.heads import HeadSettings
from fercache.loading.runs import load_run
from fercache.options.evaluate import EvaluateRequest
from fercache.options.train import TrainRequest
from fercache.records import find_records, read_record
from fercache.stages.compare import compare
from fercache.stages.evaluate import evaluate
from fercache.stages.train import train
from fercache.store.runs import find_runs
from fercache.store.tables import find_tables, read_table
from fercache.store.verify import verify
from tests.audits.planted import draw_folder
from tests.pixel_encoder import PixelEncoder

CACHES = Path(__file__).parents[1] / "caches"
VERSIONS = sorted(path.name.partition(".")[0] for path in CACHES.glob("*.tar.xz"))
FACES = {"2026-11-25": 28, "2026-11-28": 63}
OTHERS = EvaluateRequest(targets=("folder:others",), device="cpu")
AS_THEN = TrainRequest(
    source="folder:faces",
    heads=("knn", "tip-adapter-f"),
    encoder="bundled",
    seeds=(0,),
    set={"epochs": 1},
    device="cpu",
)


def cache_of(version: str, folder: Path) -> Settings:
    with tarfile.open(CACHES / f"{version}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return Settings(cache=folder / "cache", reports=folder / "reports")


@pytest.mark.parametrize("version", VERSIONS)
def test_tables_runs_and_records_of_earlier_versions_are_read(version: str, tmp_path: Path) -> None:
    settings = cache_of(version, tmp_path)
    assert verify(settings.cache) == []
    assert sorted(len(read_table(table.path).columns) for table in find_tables(settings.cache)) == [7, FACES[version]]
    assert {load_run(run, "cpu").config.head for run in find_runs(settings.cache)} == {"knn", "tip-adapter-f"}
    before = {path: read_record(path).scores["main"].accuracy for path in find_records(settings.cache)}
    assert {record.kept for record in compare(settings)[1]} == {7}
    evaluate(settings, EvaluateRequest(targets=("folder:others",), device="cpu", again=True))
    assert {path: read_record(path).scores["main"].accuracy for path in before} == before


def test_what_an_earlier_version_trained_and_scored_is_not_done_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = cache_of("2026-11-28", tmp_path)
    there = find_runs(settings.cache)
    assert sorted(train(settings, AS_THEN)) == there == find_runs(settings.cache)
    assert evaluate(settings, OTHERS) == []
    assert "earlier version" not in capsys.readouterr().err


def test_repeated_training_is_announced_with_reason_and_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = cache_of("2026-11-25", tmp_path)
    earlier = {run.name for run in find_runs(settings.cache) if "knn" in run.name}
    train(settings, TrainRequest(source="folder:faces", heads=("knn",), encoder="bundled", seeds=(0,), device="cpu"))
    printed = capsys.readouterr().err
    (name,) = earlier
    assert f"1 of 1 runs were trained by an earlier version ({name})" in printed
    assert (
        "key version 2" in printed
        and "validation has too few faces, so snapshots are chosen by cross-validation" in printed
    )
    assert re.search(r"about \d+ s last time", printed)
    train(settings, TrainRequest(source="folder:faces", heads=("knn",), encoder="bundled", seeds=(0,), device="cpu"))
    assert capsys.readouterr().err == "", "what is there needs no words"


def test_a_setting_that_a_head_gained_is_no_part_of_the_key_at_its_default() -> None:
    class Before(HeadSettings):
        strength: float = 1.0

    class After(Before):
        later = frozenset({"temperature"})
        temperature: float = 0.5

    assert After().identity() == Before().identity() == {"strength": 1.0}
    assert After(temperature=2).identity() == {"strength": 1.0, "temperature": 2.0}


def test_the_settings_in_keys_are_those_that_runs_in_caches_have() -> None:
    """A new setting goes into its head's `later`; only a change of KEY_VERSION may change this list."""
    known = json.loads((CACHES / "settings.json").read_text())
    found = {head: registry.load("heads", head).Settings for head in registry.names("heads")}
    keyed = {head: sorted(model.model_fields.keys() - model.later) for head, model in found.items()}
    assert keyed == known


def test_repeated_encoding_is_announced_with_the_difference(
    tmp_path: Path,
    pixel_encoder: type[PixelEncoder],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings, root = Settings(cache=tmp_path / "cache"), draw_folder(tmp_path / "mine", 0, {"train": 1})
    request = ExtractRequest(dataset="folder:mine", root=root, encoder=EncoderRequest(name="pixels"))
    before = extract(settings, request)
    extract(settings, request)
    assert "another version" not in capsys.readouterr().err
    now = pixel_encoder.identity
    monkeypatch.setattr(pixel_encoder, "identity", lambda self: now(self) | {"kernels": "newer"})
    after = extract(settings, request)
    printed = capsys.readouterr().err
    assert after != before and before.name in printed
    assert re.search(r"different: kernels\), .*7 faces are encoded again \(about \d+ s last time\)", printed), printed
