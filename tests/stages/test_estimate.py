"""Estimates on a target without labels: what they are learnt from, and that no label of the target is read."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fercache import EncoderRequest, ExtractRequest, Settings, extract
from fercache.errors import UsageError
from fercache.options.estimate import EstimateRequest
from fercache.options.evaluate import EvaluateRequest
from fercache.records import MAIN
from fercache.reporting.estimates import Estimates, estimates_drawing, estimates_frame, estimates_table
from fercache.stages import _source_validation
from fercache.stages.estimate import estimate
from fercache.stages.evaluate import evaluate
from fercache.stages.train import TrainRequest, train
from fercache.store.runs import read_predictions
from tests.audits.planted import draw_folder, extracted

pytestmark = pytest.mark.usefixtures("pixel_encoder")

KNOWN = ("one", "two", "three", "four")
Labels = Callable[[list[str]], list[str]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("domains")
    for place, name in enumerate((*KNOWN, "asked")):
        faces = {"test": 4} if name != "one" else {"train": 8, "validation": 3, "test": 4}
        draw_folder(root / name, first=1000 * place, per_class=faces)
    return root


@pytest.fixture
def prepared(settings: Settings, folders: Path) -> Settings:
    """Two heads trained on the first domain, scored on all known ones."""
    for name in KNOWN:
        extracted(settings, f"folder:{name}", folders / name)
    train(settings, TrainRequest(source="folder:one", heads=("knn", "class-mean"), seeds=(0,), device="cpu"))
    evaluate(settings, EvaluateRequest(device="cpu"))
    return settings


def asked_about(settings: Settings, folders: Path, labels: Labels, **more: object) -> Estimates:
    """Estimates on the same images under other labels."""
    paths = sorted((folders / "asked").rglob("*.png"))
    root = folders / "asked.csv"
    with root.open("w", newline="", encoding="utf-8") as stream:
        rows = zip((str(p.relative_to(folders)) for p in paths), labels([p.parent.name for p in paths]), strict=True)
        csv.writer(stream).writerows([["path", "label"], *rows])
    extract(settings, ExtractRequest(dataset="manifest:asked", root=root, encoder=EncoderRequest(name="pixels")))
    return estimate(settings, EstimateRequest(target="manifest:asked", device="cpu", **more))


def shuffled(labels: list[str]) -> list[str]:
    return list(np.random.default_rng(0).permutation(labels))


def deleted(labels: list[str]) -> list[str]:
    return ["" for _ in labels]


def test_labels_of_the_target_change_no_estimate(prepared: Settings, folders: Path) -> None:
    plain = asked_about(prepared, folders, list)
    assert [bool(each.estimates) for each in plain.runs] == [True, True]
    evaluate(prepared, EvaluateRequest(targets=("manifest:asked",), device="cpu"))
    scored = estimate(prepared, EstimateRequest(target="manifest:asked", device="cpu"))
    assert len(scored.known) > len(plain.known)  # the target is known now, but not to itself
    for found in (scored, asked_about(prepared, folders, shuffled), asked_about(prepared, folders, deleted)):
        assert estimates_frame(found.runs).equals(estimates_frame(plain.runs))


def test_what_is_shown(prepared: Settings, folders: Path) -> None:
    found = asked_about(prepared, folders, list)
    text = estimates_table(found)
    assert "Estimates on manifest:asked, without its labels" in text
    assert "on known domains left out" in text
    assert max(map(len, text.splitlines())) <= 80
    for each in found.runs:
        for score in each.estimates.values():
            assert 0 <= score.low <= score.value <= score.high <= 1
    assert "and the intervals on manifest:asked" in estimates_drawing(found).document
    (only,) = asked_about(prepared, folders, list, runs=(found.runs[0].domain.run,)).runs
    assert only == found.runs[0]  # the other run still counts for agreement


def test_source_validation_is_known_and_stored_once(prepared: Settings, folders: Path) -> None:
    stored = sorted(prepared.cache.glob("runs/*/predictions/source-validation.*.h5"))
    assert len(stored) == 2  # by `evaluate`
    stored[0].unlink()
    kept = stored[1].stat().st_mtime_ns
    found = asked_about(prepared, folders, list)
    validation = [each for each in found.known if each.validation]
    assert {each.name for each in validation} == {"folder:one"}
    assert [each.faces for each in validation] == [21, 21]
    assert stored[0].exists() and stored[1].stat().st_mtime_ns == kept


def test_evaluate_stores_source_validation_of_runs_that_were_scored_before(prepared: Settings) -> None:
    stored = sorted(prepared.cache.glob("runs/*/predictions/source-validation.*.h5"))
    before = [read_predictions(path) for path in stored]
    for path in stored:
        path.unlink()
    assert evaluate(prepared, EvaluateRequest(device="cpu")) == []
    for path, earlier in zip(stored, before, strict=True):
        assert np.array_equal(read_predictions(path).logits[MAIN], earlier.logits[MAIN])


def test_source_validation_that_is_large_is_sampled(prepared: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (first, _) = sorted(prepared.cache.glob("runs/*/predictions/source-validation.*.h5"))
    whole = read_predictions(first)
    first.unlink()
    monkeypatch.setattr(_source_validation, "MOST", 12)
    monkeypatch.setattr(_source_validation, "SAMPLE", 5)
    evaluate(prepared, EvaluateRequest(device="cpu"))
    part = read_predictions(first)
    rows = [int(id) for id in part.id]
    assert len(rows) == 12 and len(part.sample) == 5
    assert np.allclose(part.logits[MAIN], whole.logits[MAIN][rows], atol=1e-5)
    assert np.array_equal(part.truth, whole.truth[rows])
    of_sample = np.searchsorted(whole.sample, np.array(rows)[part.sample])
    assert np.array_equal(part.features, whole.features[of_sample])


def test_without_known_domains_nothing_is_estimated(settings: Settings, folders: Path) -> None:
    extracted(settings, "folder:one", folders / "one")
    train(settings, TrainRequest(source="folder:one", heads=("knn",), seeds=(0,), device="cpu"))
    found = asked_about(settings, folders, list)
    assert [each.estimates for each in found.runs] == [{}]
    assert "0 unrelated known domains; 3 are needed" in found.runs[0].why_not
    assert "No estimate for 1 run: no labelled dataset in the cache is" in estimates_table(found)
    assert max(map(len, estimates_table(found).splitlines())) <= 80
    assert list(estimates_frame(found.runs)["estimated_accuracy"]) == [None]


def test_wrong_use(prepared: Settings) -> None:
    with pytest.raises(UsageError, match="has not been extracted"):
        estimate(prepared, EstimateRequest(target="synthetic:night"))
    with pytest.raises(UsageError, match="The run was trained on folder:one@train"):
        estimate(prepared, EstimateRequest(target="folder:one@train", device="cpu"))
    with pytest.raises(UsageError, match="There is no finished run 'nothing'"):
        estimate(prepared, EstimateRequest(target="folder:two", runs=("nothing",), device="cpu"))
