"""Training and evaluation of tables whose features stay on disk."""

import json
from pathlib import Path

import pytest
import torch

from fercache import Settings
from fercache.heads import Batch
from fercache.loading.sources import read_source
from fercache.options.evaluate import EvaluateRequest
from fercache.options.train import TrainRequest
from fercache.records import read_record
from fercache.runtime.memory import limit_features
from fercache.stages.evaluate import evaluate
from fercache.stages.train import train
from fercache.store.runs import read_run
from fercache.training import SourceFaces
from tests.audits.planted import draw_folder, extracted

pytestmark = pytest.mark.usefixtures("pixel_encoder")
SOURCE, TARGET = "folder:mine", "folder:other"


@pytest.fixture
def both(settings: Settings, planted_folder: Path, tmp_path: Path) -> Settings:
    extracted(settings, SOURCE, planted_folder)
    extracted(settings, TARGET, draw_folder(tmp_path / "other", 5000, {"train": 6, "test": 4}))
    return settings


def trained(settings: Settings, *heads: str) -> list[Path]:
    return train(settings, TrainRequest(source=SOURCE, heads=heads, seeds=(0,), device="cpu", set={"epochs": "2"}))


def scored(settings: Settings) -> list[dict[str, object]]:
    """The records, without what a repetition changes."""
    request = EvaluateRequest(targets=(TARGET,), device="cpu", again=True)
    records = sorted(evaluate(settings, request))
    return [read_record(path).model_dump(exclude={"date", "seconds"}, mode="json") for path in records]


def test_scores_do_not_depend_on_where_features_are(both: Settings, features_on_disk: None) -> None:
    limit_features(None)
    trained(both, "sigmoid-mask", "masked-text")
    in_memory = scored(both)
    limit_features(0)
    assert json.dumps(scored(both)) == json.dumps(in_memory)


def test_the_rows_of_a_source_on_disk_are_those_in_memory(both: Settings, features_on_disk: None) -> None:
    request = TrainRequest(source=f"{SOURCE} & {TARGET}", heads=("zero-shot",), seeds=(0,), device="cpu")
    on_disk = read_source(both, request)
    limit_features(None)
    in_memory = read_source(both, request)
    assert on_disk.rows_key == in_memory.rows_key
    pairs = zip(sets(on_disk.faces), sets(in_memory.faces), strict=True)
    for stored, held in pairs:
        assert (stored.in_memory, held.in_memory) == (False, True)
        read = stored.rows(torch.arange(len(stored)))
        assert torch.equal(read.features, held.features)
        assert torch.equal(read.labels, held.labels)


def sets(faces: SourceFaces) -> tuple[Batch, Batch]:
    return faces.train, faces.validation


@pytest.mark.parametrize("balance", ["none", "sampling", "weights"])
def test_heads_are_trained_from_disk(both: Settings, features_on_disk: None, balance: str) -> None:
    request = TrainRequest(
        source=SOURCE, heads=("sigmoid-mask",), seeds=(0,), device="cpu", set={"epochs": "12", "balance": balance}
    )
    (folder,) = train(both, request)
    history = read_run(folder).history
    assert len(history) == 12
    assert history[-1]["classification"] < history[0]["classification"]
