"""A head's masks in records and predictions."""

from pathlib import Path

import numpy as np
import pytest

from fercache import FercacheError, Settings
from fercache.options.evaluate import EvaluateRequest
from fercache.records import Record, frame, predictions_path, read_record
from fercache.reporting.screen import screen_table
from fercache.scoring.selection import POLICIES
from fercache.stages.evaluate import evaluate
from fercache.stages.train import TrainRequest, train
from fercache.store.runs import StoredPredictions, read_predictions
from tests.audits.planted import extracted

pytestmark = pytest.mark.usefixtures("pixel_encoder")


def scored(settings: Settings, root: Path, head: str, **given: object) -> list[Record]:
    """Records of a run that is trained and scored on one folder, with and without duplicates."""
    extracted(settings, "folder:mine", root)
    train(settings, TrainRequest(source="folder:mine", heads=(head,), seeds=(0,), device="cpu", set=given))
    request = EvaluateRequest(targets=("folder:mine",), device="cpu", exclude_duplicates=True)
    return [read_record(path) for path in evaluate(settings, request)]


def predictions_of(settings: Settings, record: Record) -> StoredPredictions:
    return read_predictions(predictions_path(settings.cache / "runs" / record.run, record))


def test_a_head_with_a_mask_is_tested_under_every_policy(settings: Settings, planted_folder: Path) -> None:
    records = scored(settings, planted_folder, "sigmoid-mask", epochs=6)
    assert [(r.selection, r.without_duplicates) for r in records] == [
        (policy, unique) for unique in (False, True) for policy in POLICIES if policy != "source-shifted"
    ]
    for record in records:
        assert record.mask is not None and record.mask.shuffles == 199
        assert record.mask.p < 0.01 and record.mask.distance > record.mask.null
        assert record.not_default == ("epochs",)
    of_snapshot = {(r.snapshot, r.without_duplicates, r.mask.distance) for r in records if r.mask}
    assert len(of_snapshot) == len({(r.snapshot, r.without_duplicates) for r in records})
    every, unique = (next(r.mask for r in records if r.without_duplicates == flag) for flag in (False, True))
    assert every != unique


def test_the_distance_is_that_of_the_mean_masks_in_the_predictions(settings: Settings, planted_folder: Path) -> None:
    for record in scored(settings, planted_folder, "sigmoid-mask", epochs=6)[:3]:
        means = predictions_of(settings, record).mask_mean
        assert means is not None and record.mask is not None
        pairs = [np.linalg.norm(means[i] - means[j]) for i in range(len(means)) for j in range(i)]
        assert record.mask.distance == pytest.approx(np.mean(pairs), rel=1e-4)


def test_a_head_without_a_mask_has_no_test(settings: Settings, planted_folder: Path) -> None:
    records = scored(settings, planted_folder, "linear-probe")
    assert {record.mask for record in records} == {None}
    assert predictions_of(settings, records[0]).mask_mean is None


def test_a_run_whose_training_diverged_is_named(settings: Settings, planted_folder: Path) -> None:
    with pytest.raises(FercacheError, match=r"sigmoid-mask.*on folder:mine@test are not finite.*lower learning rate"):
        scored(settings, planted_folder, "sigmoid-mask", epochs=3, optimizer="sgd", learning_rate=1e30)


def test_what_a_run_was_trained_with_is_in_the_table(settings: Settings, planted_folder: Path) -> None:
    extracted(settings, "folder:mine", planted_folder)
    tables = []
    for faces in (None, 70):
        request = TrainRequest(
            source="folder:mine", heads=("linear-probe", "knn"), seeds=(0,), device="cpu", faces=faces
        )
        train(settings, request)
        records = [
            read_record(path) for path in evaluate(settings, EvaluateRequest(targets=("folder:mine",), device="cpu"))
        ]
        tables.append(screen_table(frame(records)))
    assert "faces" not in tables[0]
    assert tables[1].splitlines()[1] == "Shared by all methods that have them: faces=70."
