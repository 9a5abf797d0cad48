"""A source of several datasets: its training rows, its name, and its own targets."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fercache import EncoderRequest, ExtractRequest, Settings, extract
from fercache.errors import UsageError
from fercache.loading.run_config import read_config
from fercache.loading.sources import read_source
from fercache.options.evaluate import EvaluateRequest
from fercache.options.train import TrainRequest
from fercache.records import DUPLICATE, Record, read_record
from fercache.stages.evaluate import evaluate
from fercache.stages.train import planned_runs, train
from tests.audits.planted import PLANTED, draw_folder, extracted

pytestmark = pytest.mark.usefixtures("pixel_encoder")
POOL = TrainRequest(source="folder:mine & folder:other", heads=("linear-probe",), seeds=(0,), device="cpu")


@pytest.fixture
def pooled(settings: Settings, planted_folder: Path, tmp_path: Path) -> Settings:
    extracted(settings, "folder:mine", planted_folder)
    extracted(settings, "folder:other", draw_folder(tmp_path / "other", 5000, {"train": 6, "test": 4}))
    return settings


def evaluated(settings: Settings, *targets: str, exclude: bool = False) -> list[Record]:
    request = EvaluateRequest(targets=targets, device="cpu", exclude_duplicates=exclude)
    return [read_record(path) for path in evaluate(settings, request)]


def test_all_faces_of_both_datasets_are_there_in_the_order_of_their_names(pooled: Settings) -> None:
    both = read_source(pooled, POOL)
    alone = [read_source(pooled, POOL.but(source=name)) for name in ("folder:mine", "folder:other")]
    assert torch.equal(both.faces.train.features, torch.cat([one.faces.train.features for one in alone]))
    assert torch.equal(both.faces.validation.labels, torch.cat([one.faces.validation.labels for one in alone]))
    assert both.dropped == {name: sum(one.dropped.get(name, 0) for one in alone) for name in both.dropped}
    turned = read_source(pooled, POOL.but(source="folder:other&folder:mine"))
    assert torch.equal(both.faces.train.features, turned.faces.train.features)
    assert (both.rows_key, both.name) == (turned.rows_key, turned.name) == (both.rows_key, "folder:mine & folder:other")


def test_some_faces_are_taken_from_each_dataset_in_proportion(pooled: Settings) -> None:
    whole, some = read_source(pooled, POOL), read_source(pooled, POOL.but(faces=40))
    assert abs(len(some.faces.train) - 40) <= len(whole.expressions) * 2
    assert len(some.faces.validation) == len(whole.faces.validation)


def test_a_run_names_its_datasets_and_is_not_trained_again(pooled: Settings) -> None:
    (planned,) = planned_runs(pooled, POOL)
    assert not planned.exists()
    (folder,) = train(pooled, POOL)
    assert folder == planned
    assert folder.name.startswith("pixels-folder-mine-and-folder-other-linear-probe-none-0-")
    _, config = read_config(folder)
    assert config.source == "folder:mine & folder:other"
    assert [part.name for part in config.parts] == ["folder:mine", "folder:other"]
    assert planned_runs(pooled, POOL.but(source="folder:other & folder:mine")) == [folder]


def test_both_datasets_are_the_source_and_neither_train_split_is_a_target(
    pooled: Settings, planted_folder: Path
) -> None:
    train(pooled, POOL)
    records = evaluated(pooled, "folder:mine", "folder:other")
    assert {(r.source, r.target, r.target_split) for r in records} == {
        ("folder:mine & folder:other", "folder:mine", "test"),
        ("folder:mine & folder:other", "folder:other", "test"),
    }
    assert records[0].options["train"]["source"] == "folder:mine & folder:other"
    with pytest.raises(UsageError, match="trained on"):
        evaluated(pooled, "folder:other@train")


def test_duplicates_are_looked_for_in_every_set(pooled: Settings) -> None:
    train(pooled, POOL)
    scored = evaluated(pooled, "folder:mine", exclude=True)
    assert {r.dropped[DUPLICATE] for r in scored if r.without_duplicates} == {len(PLANTED)}


def test_crops_come_from_the_file_of_each_dataset(pooled: Settings, planted_folder: Path, tmp_path: Path) -> None:
    for name, root in (("folder:mine", planted_folder), ("folder:other", tmp_path / "other")):
        extract(pooled, ExtractRequest(dataset=name, root=root, encoder=EncoderRequest(name="pixels"), crops=18))
    both = read_source(pooled, POOL, with_crops=True)
    alone = [read_source(pooled, POOL.but(source=str(part.name)), with_crops=True) for part in both.parts]
    chosen = torch.tensor([len(both.faces.train) - 1, 0, len(alone[0].faces.train)])
    assert both.faces.train.crops is not None
    apart = torch.cat([one.faces.train.rows(torch.arange(len(one.faces.train))).crops for one in alone])
    np.testing.assert_array_equal(both.faces.train.crops[chosen], apart[chosen])
    extract(
        pooled,
        ExtractRequest(
            dataset="folder:other", root=tmp_path / "other", encoder=EncoderRequest(name="pixels"), crops=16
        ),
    )
    with pytest.raises(UsageError, match="18 and 16 pixels"):
        read_source(pooled, POOL, with_crops=True)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("folder:mine & folder:mine@test", "names folder:mine more than once"),
        ("folder:mine & ", "'' is not a dataset name|is not a dataset name"),
        ("folder:mine & folder:absent", "folder:absent has not been extracted"),
    ],
)
def test_wrong_pools_are_refused(pooled: Settings, source: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        train(pooled, POOL.but(source=source))
