"""Which faces are scored: by the default split, and with and without those that the source's train split has."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fercache import EncoderRequest, ExtractRequest, Settings, extract
from fercache.errors import UsageError
from fercache.records import DUPLICATE, Record, read_record
from fercache.scoring.selection import POLICIES
from fercache.stages import evaluate as evaluate_stage
from fercache.stages import sources
from fercache.stages.evaluate import EvaluateRequest, evaluate
from fercache.stages.train import TrainRequest, train
from tests.audits.planted import PLANTED, draw_folder, extracted, face
from tests.datasets.miniatures.ckplus import official

pytestmark = pytest.mark.usefixtures("pixel_encoder")

WITHOUT_SHIFTED = [policy for policy in POLICIES if policy != "source-shifted"]


def trained(settings: Settings, source: str, **more: Any) -> str:
    (folder,) = train(settings, TrainRequest(source, ("linear-probe",), seeds=(0,), device="cpu", **more))
    return folder.name


def evaluated(settings: Settings, *targets: str, exclude: bool = False, **more: Any) -> list[Record]:
    request = EvaluateRequest(targets, device="cpu", exclude_duplicates=exclude, **more)
    return [read_record(path) for path in evaluate(settings, request)]


def test_scores_with_and_without_duplicates_stand_side_by_side(
    settings: Settings, planted_folder: Path, tmp_path: Path
) -> None:
    root = tmp_path / "with contempt"
    shutil.copytree(planted_folder, root)
    (root / "test/contempt").mkdir()
    face(9000, "anger").save(root / "test/contempt/9000.png")
    extracted(settings, "folder:mine", root)
    trained(settings, "folder:mine")
    records = evaluated(settings, "folder:mine", exclude=True)
    assert [(r.selection, r.without_duplicates) for r in records] == [
        (policy, unique) for unique in (False, True) for policy in WITHOUT_SHIFTED
    ]
    for record in records:
        left_out = len(PLANTED) if record.without_duplicates else 0
        assert record.target_split == "test"
        assert record.kept == record.scores["main"].n == 74 - left_out
        assert record.duplicates == (None if record.without_duplicates else len(PLANTED))
        assert record.dropped == {"contempt": 1} | ({DUPLICATE: left_out} if left_out else {})
    assert evaluated(settings, "folder:mine", exclude=True) == []
    assert evaluated(settings, "folder:mine") == []


def test_scores_without_duplicates_can_be_added_later(settings: Settings, planted_folder: Path) -> None:
    extracted(settings, "folder:mine", planted_folder)
    trained(settings, "folder:mine")
    assert not any(record.without_duplicates for record in evaluated(settings, "folder:mine"))
    later = evaluated(settings, "folder:mine", exclude=True)
    assert sum(record.without_duplicates for record in later) == len(WITHOUT_SHIFTED)
    assert evaluated(settings, "folder:mine", exclude=True) == []


def test_without_any_duplicate_or_with_nothing_else_there_is_one_score(
    settings: Settings, planted_folder: Path, tmp_path: Path
) -> None:
    train_alone = tmp_path / "copied"
    shutil.copytree(planted_folder / "train", train_alone)
    extracted(settings, "folder:mine", planted_folder)
    extracted(settings, "folder:copied", train_alone)
    extracted(settings, "folder:other", draw_folder(tmp_path / "other", 5000, {"test": 4}))
    trained(settings, "folder:mine")
    targets = ("folder:copied", "folder:other")
    records = evaluated(settings, *targets, exclude=True)
    assert not any(record.without_duplicates for record in records)
    found = {(record.target, record.duplicates == record.kept, record.duplicates == 0) for record in records}
    assert found == {("folder:copied", True, False), ("folder:other", False, True)}
    assert evaluated(settings, *targets, exclude=True) == []


def test_a_command_reads_a_table_once_and_builds_a_run_once(
    settings: Settings, planted_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []

    def noted(call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda path, *rest: calls.append(path) or call(path, *rest)

    for stage, name in ((evaluate_stage, "read_table"), (evaluate_stage, "load_run"), (sources, "read_table")):
        monkeypatch.setattr(stage, name, noted(getattr(stage, name)))
    tables = [extracted(settings, f"folder:{name}", planted_folder) for name in ("mine", "other")]
    run = trained(settings, "folder:mine")
    assert calls == tables[:1]
    calls.clear()
    assert evaluated(settings, "folder:mine", "folder:other", exclude=True)
    assert sorted(calls) == sorted([*tables, settings.cache / "runs" / run])
    calls.clear()
    assert evaluated(settings, "folder:mine", "folder:other", exclude=True) == calls == []


def test_a_spoilt_target_has_the_duplicates_of_the_clean_one(settings: Settings, planted_folder: Path) -> None:
    """In the spoilt pictures themselves some are not found."""
    extracted(settings, "folder:mine", planted_folder)
    clean = extracted(settings, "folder:other", planted_folder)
    extracted(settings, "folder:other+noise:5", planted_folder)
    trained(settings, "folder:mine")
    scored = evaluated(settings, "folder:other@test", "folder:other+noise:5", exclude=True)
    assert {(r.target, r.dropped[DUPLICATE]) for r in scored if r.without_duplicates} == {
        ("folder:other", len(PLANTED)),
        ("folder:other+noise:5", len(PLANTED)),
    }
    clean.unlink()
    with pytest.raises(UsageError, match="Run: fercache extract --dataset folder:other"):
        evaluated(settings, "folder:other+noise:5", exclude=True, again=True)


def test_scores_without_duplicates_do_not_outlive_what_they_are_about(
    settings: Settings, planted_folder: Path, tmp_path: Path
) -> None:
    root = tmp_path / "other"
    shutil.copytree(planted_folder / "train" / "fear", root / "fear")
    shutil.copytree(planted_folder / "test" / "anger", root / "anger")
    extracted(settings, "folder:mine", planted_folder)
    extracted(settings, "folder:other", root)
    run = trained(settings, "folder:mine")
    assert any(record.without_duplicates for record in evaluated(settings, "folder:other", exclude=True))
    shutil.rmtree(root / "fear")
    extracted(settings, "folder:other", root)
    evaluated(settings, "folder:other")
    assert not list((settings.cache / "runs" / run / "records").glob("*.unique.*"))


def test_spoilt_faces_that_the_run_was_trained_on_are_no_target(settings: Settings, planted_folder: Path) -> None:
    extract(settings, ExtractRequest("folder:mine+blur:2@train", planted_folder, EncoderRequest("pixels")))
    extracted(settings, "folder:mine", planted_folder)
    trained(settings, "folder:mine")
    with pytest.raises(UsageError, match="trained on"):
        evaluated(settings, "folder:mine+blur:2@train")


def test_without_the_source_table_duplicates_cannot_be_seen(
    settings: Settings, planted_folder: Path, tmp_path: Path
) -> None:
    table = extracted(settings, "folder:mine", planted_folder)
    extracted(settings, "folder:other", draw_folder(tmp_path / "other", 5000, {"test": 2}))
    trained(settings, "folder:mine")
    table.unlink()
    with pytest.raises(UsageError, match=r"not in the cache any more.*Run: fercache extract --dataset folder:mine"):
        evaluated(settings, "folder:other", exclude=True)
    assert {record.kept for record in evaluated(settings, "folder:other")} == {14}


def test_one_split_that_is_scored_does_not_stand_for_another(settings: Settings, tmp_path: Path) -> None:
    extracted(settings, "folder:mine", draw_folder(tmp_path / "a", 0, {"train": 6, "validation": 2, "test": 3}))
    trained(settings, "folder:mine")
    assert {record.kept for record in evaluated(settings, "folder:mine@validation")} == {14}
    assert {record.kept for record in evaluated(settings, "folder:mine")} == {21}
    assert evaluated(settings) == []


def test_a_set_without_published_splits_is_scored_whole_unless_it_is_the_source(
    settings: Settings, planted_folder: Path, tmp_path: Path
) -> None:
    truth = official(tmp_path / "ck").truth
    extracted(settings, "ckplus", tmp_path / "ck")
    extracted(settings, "folder:mine", planted_folder)
    foreign, own = trained(settings, "folder:mine"), trained(settings, "ckplus", keep_validation_copies=True)
    assert evaluated(settings, "ckplus@test", runs=(foreign,))[0].target_split == "test"
    (whole, *_) = evaluated(settings, "ckplus", runs=(foreign,))
    assert whole.target_split == "all"
    assert whole.kept == sum(label != "contempt" for label in truth.values())
    (part, *_) = evaluated(settings, "ckplus", runs=(own,))
    assert part.target_split == "test"
    assert 0 < part.kept < whole.kept
    assert evaluated(settings, "ckplus") == []


def test_faces_that_the_run_was_trained_on_are_no_target(settings: Settings, tmp_path: Path) -> None:
    extracted(settings, "folder:mine", draw_folder(tmp_path / "faces", per_class={"train": 6}))
    trained(settings, "folder:mine")
    with pytest.raises(UsageError, match="trained on"):
        evaluated(settings, "folder:mine")


def test_a_run_that_was_trained_on_a_target_is_left_out_of_it_and_others_are_scored(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that one command scores every run on every target, as the foot of a report has it."""
    for name in ("mine", "other"):
        extracted(settings, f"folder:{name}", draw_folder(tmp_path / name, per_class={"train": 6}))
        trained(settings, f"folder:{name}@train")
    assert {record.source for record in evaluated(settings, "folder:mine@train")} == {"folder:other"}
    assert "skipped: folder:mine@train is what the run was trained on" in capsys.readouterr().err
    assert evaluated(settings, "folder:mine@train") == []
