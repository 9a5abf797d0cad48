"""Every target taken for unlabelled, from records and predictions alone."""

from pathlib import Path

import numpy as np
import pytest

from fercache.records import Record, predictions_path
from fercache.reporting.page import all_sections, made_parts, render
from fercache.reporting.report import Report
from fercache.reporting.sections import unlabelled
from fercache.scoring.drift import Drift
from fercache.store.runs import StoredPredictions, read_predictions, write_predictions
from tests.reporting.fake_predictions import FACES, TRUTH, readings, scored_record

SKILLS = {"synthetic:webcam": 0.75, "synthetic:sketch": 0.65, "synthetic:night": 0.5, "ferplus": 0.6, "rafdb": 0.9}
HEADS = {"linear-probe": 0.0, "zero-shot": -0.05}


def drift_of(skill: float) -> Drift:
    return Drift(
        faces=FACES,
        norm=9,
        source_norm=10,
        frechet=20 * (1 - skill),
        frechet_floor=0.1,
        a_distance=1,
        a_distance_floor=0,
    )


def scored(cache: Path, head: str, target: str, skill: float, frechet: float | None = None) -> Record:
    """A record whose head is as confident as it is right, with features that show its expressions."""
    generator = np.random.default_rng(len(target))
    predicted = readings(seed=len(target), skill=skill + HEADS[head])
    logits = 4 * skill * np.eye(7)[predicted] + generator.normal(size=(FACES, 7)) * 0.3
    drift = drift_of(skill)
    record = scored_record(
        cache,
        logits.argmax(axis=1),
        logits=logits.astype(np.float32),
        head=head,
        target=target,
        drift=drift if frechet is None else Drift(**{**vars(drift), "frechet": frechet}),
    )
    path = predictions_path(cache / "runs" / record.run, record)
    stored = read_predictions(path)
    features = generator.normal(size=(FACES, 10)) + 3 * np.eye(7, 10)[TRUTH]
    kept = {"sample": np.arange(FACES), "features": features.astype(np.float16)}
    write_predictions(path, StoredPredictions(**{**vars(stored), **kept}), {"run": record.run})
    return record


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    cache = tmp_path_factory.mktemp("cache")
    records = [scored(cache, head, target, skill) for head in HEADS for target, skill in SKILLS.items()]
    records += [scored(cache, head, "ckplus", skill=0.8, frechet=500) for head in HEADS]
    return Report("test", records, cache)


def test_every_target_has_a_row_with_an_estimate_or_the_reason_why_not(report: Report) -> None:
    content = unlabelled.content(report)
    assert content is not None
    (view,) = content.context["views"]
    rows = {row.target: row for row in view.targets}
    assert set(rows) == {*SKILLS, "ckplus"}
    assert (
        rows["ckplus"].estimated == {} and "Fréchet distance from synthetic:studio is 500.0" in rows["ckplus"].why_not
    )
    for target, skill in SKILLS.items():
        assert rows[target].runs == len(HEADS)
        assert rows[target].drift == pytest.approx(20 * (1 - skill))
        assert 0 < rows[target].estimated["accuracy"] < 100
    assert rows["rafdb"].estimated["accuracy"] > rows["synthetic:night"].estimated["accuracy"] + 10
    errors = [row.error for row in view.estimators]
    assert errors == sorted(errors) and len(errors) > 3


def test_the_section_has_a_figure_and_a_table_beside_the_page(report: Report) -> None:
    parts = made_parts({name: each for name, each in all_sections().items() if name == "unlabelled"}, report)
    page = render(report, parts)
    assert "Unlabelled domains" in page and "cannot tell" in page
    assert "Estimated against true accuracy of 10 runs on known domains left out" in page
    (content,) = (part.content for part in parts)
    header, *lines = content.files["estimates.csv"].splitlines()
    assert header.startswith("run,source,target,faces,true_accuracy,estimated_accuracy,accuracy_low,accuracy_high")
    assert len(lines) == (len(SKILLS) + 1) * len(HEADS)


def test_the_labels_of_a_target_change_no_estimate_of_it(report: Report, tmp_path: Path) -> None:
    changed = [
        record.model_copy(update={"scores": {"main": record.scores["main"].model_copy(update={"accuracy": 0.1})}})
        if record.target == "rafdb"
        else record
        for record in report.stored
    ]
    found = [unlabelled.content(Report("test", records, report.cache)) for records in (report.stored, changed)]
    one, other = ({row.target: row for row in each.context["views"][0].targets} for each in found if each)
    assert one["rafdb"].estimated == other["rafdb"].estimated
    assert one["rafdb"].true != other["rafdb"].true
    assert one["synthetic:night"].estimated != other["synthetic:night"].estimated


def test_with_too_few_targets_or_without_predictions_there_is_no_section(report: Report, tmp_path: Path) -> None:
    few = [record for record in report.stored if record.target in ("rafdb", "ferplus")]
    assert unlabelled.content(Report("test", few, report.cache)) is None
    assert unlabelled.content(Report("test", report.stored, tmp_path)) is None
    assert unlabelled.content(Report("test", report.stored)) is None
