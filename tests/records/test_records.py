import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fercache.datasets import DatasetName
from fercache.errors import FercacheError, UsageError
from fercache.records import (
    INTERVALS,
    Record,
    ScoresRecord,
    find_records,
    frame,
    predictions_path,
    read_record,
    record_files,
    record_path,
    write_record,
)
from fercache.scoring.metrics import score
from tests.fake_records import CLASSES, fake_record, scores_of

names = st.text("abcdefgh:-/ é", min_size=1, max_size=12)
values = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | names
confusions = st.integers(0, 2**31).map(
    lambda seed: np.random.default_rng(seed).integers(0, 40, (7, 7)) + np.eye(7, dtype=int)
)


def corrupt(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    return path


def in_place(folder: Path, record: Record) -> Path:
    return write_record(folder / record.run, record)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return in_place(tmp_path, fake_record())


@settings(max_examples=40, deadline=None)
@given(
    confusion=confusions,
    chosen=st.dictionaries(names, values, max_size=4),
    dropped=st.dictionaries(names, st.integers(0)),
)
def test_a_record_survives_being_written(
    tmp_path_factory: pytest.TempPathFactory, confusion: np.ndarray, chosen: dict[str, Any], dropped: dict[str, int]
) -> None:
    scores = scores_of(confusion)
    record = fake_record(settings=chosen, dropped=dropped, scores={"main": scores}, kept=scores["n"])
    assert read_record(in_place(tmp_path_factory.mktemp("runs"), record)) == record


def test_scores_of_the_metrics_room_are_taken_as_they_are() -> None:
    logits = np.eye(3)[[0, 1, 1, 2, 0]]
    scores = score(logits, np.array([0, 1, 0, 1, 0]), ("anger", "fear", "sadness"), ("anger", "fear"))
    record = fake_record(
        classes=("anger", "fear", "sadness"), scores={"main": ScoresRecord.model_validate(scores)}, kept=5
    )
    assert record.scores["main"].recall["sadness"] is None
    assert record.scores["main"].confusion == scores.confusion


def test_a_record_has_a_place_in_its_runs_folder(tmp_path: Path) -> None:
    record = fake_record(target="synthetic:webcam", selection="last")
    path = write_record(tmp_path / "runs" / record.run, record)
    assert path == record_path(tmp_path / "runs" / record.run, record)
    name = DatasetName.parse(record.target)
    assert record_files(tmp_path / "runs" / record.run, name, record.target_split) == [path]
    assert record_files(tmp_path / "runs" / record.run, name, record.target_split, unique=True) == []
    assert path.relative_to(tmp_path).parts == ("runs", record.run, "records", "synthetic-webcam@test.last.json")
    assert find_records(tmp_path) == [path]


def test_a_failed_write_leaves_the_old_record(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_space(self: Path, target: Path) -> Path:
        raise OSError("no space left")

    before = written.read_bytes()
    monkeypatch.setattr(Path, "replace", out_of_space)
    with pytest.raises(FercacheError, match="no space"):
        write_record(written.parent.parent, fake_record(seed=1))
    assert written.read_bytes() == before
    assert list(written.parent.glob("*.json")) == [written]


def test_a_newer_schema_asks_for_an_upgrade(written: Path) -> None:
    with pytest.raises(UsageError, match=r"schema 6; this fercache reads up to 5\. Upgrade") as caught:
        read_record(corrupt(written, schema=6, invented=1))
    assert str(written) in str(caught.value)


def test_an_unknown_key_is_refused_by_name(written: Path) -> None:
    with pytest.raises(UsageError, match="acuracy: unknown key"):
        read_record(corrupt(written, acuracy=0.5))


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_scores_that_are_no_numbers_are_refused(written: Path, number: str) -> None:
    record = json.loads(written.read_text(encoding="utf-8"))
    record["scores"]["main"]["mean_class_recall"] = float(number)
    with pytest.raises(UsageError, match=r"scores\.main\.mean_class_recall: .*found (nan|inf)"):
        read_record(corrupt(written, **record))


def test_settings_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValidationError, match="finite number"):
        Record.model_validate(fake_record().model_dump() | {"settings": {"grid": [1.0, float("nan")]}})


@pytest.mark.parametrize("text", ["", "{", '{"schema": 1}\x00', "[]", "\udcff"])
def test_a_damaged_file_is_named(written: Path, text: str) -> None:
    written.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match="is damaged") as caught:
        read_record(written)
    assert str(written) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fercache evaluate"):
        read_record(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": CLASSES[:6]}, "not about the record's classes"),
        ({"kept": 3}, "scored 700 faces, but 3 were kept"),
        ({"scores": {}}, "no readout 'main'"),
        ({"selection": "best"}, "source-val"),
        ({"scores": {"main": scores_of(np.eye(7, dtype=int)) | {"n": 8}}}, "support does not add up to n"),
        ({"scores": {"main": scores_of(np.eye(7, dtype=int)) | {"confusion": [[1]]}}}, "same expressions"),
        ({"scores": {"main": scores_of(np.eye(7, dtype=int)) | {"accuracy": 1.2}}}, "less than or equal to 1"),
        ({"classes": (*CLASSES[:6], "joy")}, "'joy' is not an expression"),
        ({"keys": {}}, "keys hold none of the run"),
        ({"keys": {"run": "a"}}, "keys hold none of the target"),
        ({"intervals": {"mean_class_recall": (0.9, 0.1)}}, "the interval of mean_class_recall ends before it begins"),
        ({"calibration": {"ece": 0.1, "faces": [3], "confidence": [0.9], "accuracy": [0.8]}}, "of 3 faces, but 700"),
        (
            {"calibration": {"ece": 0.2, "faces": [700], "confidence": [0.9], "accuracy": [0.8]}},
            "by its bins it is 0.1",
        ),
        (
            {"groups": {"sex": {"f": {"n": 9, "accuracy": 0, "mean_class_recall": 0.5, "recall": {}}}}},
            "by the mean of its recalls",
        ),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        fake_record(**changes)


@settings(max_examples=30, deadline=None)
@given(
    confusion=confusions,
    name=st.sampled_from(["accuracy", "mean_class_recall", "macro_f1", *CLASSES]),
    value=st.floats(0, 1),
)
def test_a_score_that_its_confusion_does_not_give_is_refused(confusion: np.ndarray, name: str, value: float) -> None:
    scores = scores_of(confusion)
    place = scores if name in scores else scores["recall"]
    assume(abs(place[name] - value) > 1e-5)
    place[name] = value
    with pytest.raises(ValidationError, match=r"is .*, but by its confusion it is"):
        ScoresRecord.model_validate(scores)


def test_a_record_that_was_copied_from_another_run_or_target_is_refused(tmp_path: Path) -> None:
    record, other = fake_record(), fake_record(seed=1)
    path = in_place(tmp_path, record)
    copied = record_path(tmp_path / other.run, record)
    copied.parent.mkdir(parents=True)
    copied.write_bytes(path.read_bytes())
    with pytest.raises(UsageError, match=f"belongs to the run {record.run}, but is in the folder of {other.run}"):
        read_record(copied)
    for changes in ({"target": "synthetic:night"}, {"selection": "last"}):
        renamed = record_path(tmp_path / record.run, fake_record(**changes))
        renamed.write_bytes(path.read_bytes())
        with pytest.raises(UsageError, match=f"its name would be {path.name}"):
            read_record(renamed)


def test_a_record_that_is_nested_too_deeply_is_named(written: Path) -> None:
    for text in ("[" * 100_000, '{"settings": {"a": ' + "[" * 5_000 + "]" * 5_000 + "}}"):
        written.write_text(text)
        with pytest.raises(UsageError, match=r"record .*source-val\.json"):
            read_record(written)


def test_a_record_that_cannot_be_opened_is_named(written: Path) -> None:
    written.unlink()
    written.symlink_to(written.name)
    with pytest.raises(UsageError, match=r"Cannot read the record .*source-val\.json"):
        read_record(written)


def test_the_frame_has_a_row_per_readout_and_settings_in_columns() -> None:
    table = frame([fake_record("sigmoid-mask"), fake_record("linear-probe")])
    assert list(table["readout"]) == ["main", "grouped", "main"]
    assert table.loc[0, "setting.learning_rate"] == 0.0002
    assert pd.isna(table.loc[2, "setting.learning_rate"])
    assert table.loc[2, "setting.strengths"] == "[0.1, 1, 10]"
    assert pd.isna(table.loc[1, "accuracy_low"]) and table.loc[0, "accuracy_low"] < table.loc[0, "accuracy"]
    for name in INTERVALS:
        assert tuple(table.loc[0, [f"{name}_low", f"{name}_high"]]) == fake_record("sigmoid-mask").intervals[name]
    recalls = table.loc[0, [f"recall.{name}" for name in CLASSES]]
    assert recalls.mean() == pytest.approx(table.loc[0, "mean_class_recall"])


def test_the_frame_says_which_expressions_have_too_few_faces_and_how_sure_the_calibration_is() -> None:
    few = np.diag([30, 9, 0, 10, 30, 1, 30])
    calibration = {"ece": 0.1, "interval": (0.05, 0.2), "faces": [110], "confidence": [0.9], "accuracy": [1.0]}
    table = frame([fake_record(scores={"main": scores_of(few)}, kept=110, calibration=calibration), fake_record()])
    assert table.loc[0, "few_faces"] == f"{CLASSES[1]}, {CLASSES[5]}" and table.loc[1, "few_faces"] == ""
    assert table.loc[0, ["ece", "ece_low", "ece_high"]].tolist() == [0.1, 0.05, 0.2]
    assert table.loc[1, ["ece", "ece_low", "ece_high"]].isna().all()


def test_a_record_of_schema_2_with_bootstrap_intervals_is_read(written: Path) -> None:
    calibration = {"ece": 0.1, "faces": [700], "confidence": [0.9], "accuracy": [0.8]}
    old = {"accuracy": [0.5, 0.6], "uar": [0.5, 0.6]}
    record = read_record(corrupt(written, schema=2, intervals=old, calibration=calibration))
    assert set(record.intervals) == {"accuracy", "mean_class_recall"}
    assert record.calibration is not None and record.calibration.interval is None
    assert pd.isna(frame([record]).loc[0, "accuracy_unconditional_low"])


MASK = {"distance": 2.5, "null": 0.5, "p": 0.001, "shuffles": 999}


def test_a_test_of_the_masks_survives_and_stands_in_the_frame(tmp_path: Path) -> None:
    record = read_record(in_place(tmp_path, fake_record("sigmoid-mask", mask=MASK)))
    assert record.mask is not None and record.mask.model_dump() == MASK
    table = frame([record, fake_record("linear-probe")])
    assert list(table["mask_p"][:2]) == [0.001, 0.001] and pd.isna(table["mask_p"][2])
    assert table.loc[0, ["mask_distance", "mask_null"]].tolist() == [2.5, 0.5]


def test_a_record_from_before_masks_were_tested_is_read(written: Path) -> None:
    document = json.loads(written.read_text(encoding="utf-8"))
    del document["mask"]
    written.write_text(json.dumps(document), encoding="utf-8")
    assert read_record(written).mask is None


@pytest.mark.parametrize("wrong", [{"p": 0.0}, {"p": 1.1}, {"distance": -1.0}, {"shuffles": 0}])
def test_a_test_of_the_masks_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="mask"):
        fake_record(mask=MASK | wrong)


def test_predictions_lie_beside_the_record_and_are_shared_with_the_one_without_duplicates(tmp_path: Path) -> None:
    paths = {predictions_path(tmp_path, fake_record(without_duplicates=unique)) for unique in (False, True)}
    assert paths == {tmp_path / "predictions" / "synthetic-webcam@test.source-val.h5"}


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({}, "ferplus"),
        ({"target_split": "all"}, "ferplus"),
        ({"target_split": "validation"}, "ferplus@validation"),
        ({"policy": "plurality"}, "ferplus (plurality)"),
    ],
)
def test_a_target_is_labelled_with_what_is_unusual(changes: dict[str, str], label: str) -> None:
    assert fake_record(target="ferplus", **changes).target_label == label


def test_reading_records_needs_neither_torch_nor_pandas() -> None:
    code = "import sys, fercache.records; sys.exit(bool({'torch', 'pandas', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_earlier_schemas_call_mean_class_recall_uar(written: Path) -> None:
    before = read_record(written)
    text = written.read_text(encoding="utf-8")
    assert text.count("mean_class_recall") == 2
    written.write_text(text.replace("mean_class_recall", "uar").replace('"schema": 5', '"schema": 4'), encoding="utf-8")
    assert read_record(written).model_copy(update={"schema_version": 5}) == before


def test_a_record_is_written_under_its_schema(written: Path) -> None:
    assert json.loads(written.read_text(encoding="utf-8"))["schema"] == 5
    assert isinstance(read_record(written), Record)


def test_a_target_is_called_by_its_split_where_that_is_not_the_usual_one() -> None:
    splits = [("ferplus", "test"), ("ferplus", "validation"), ("affectnet", "validation"), ("affectnet", "train")]
    splits += [("ckplus", "all"), ("ckplus", "test"), ("folder:mine", "all"), ("somebodys", "test")]
    assert [fake_record(target=target, target_split=split).target_label for target, split in splits] == [
        *("ferplus", "ferplus@validation", "affectnet", "affectnet@train"),
        *("ckplus", "ckplus@test", "folder:mine", "somebodys"),
    ]


def test_a_label_file_that_is_not_the_usual_one_is_named() -> None:
    usual, other = ({"train": {"labels": name}} for name in ("fer2013new", "folders"))
    labels = [fake_record(target="ferplus", options=options).target_label for options in ({}, usual, other)]
    assert labels == ["ferplus", "ferplus", "ferplus (folders)"]
    both = fake_record(target="ferplus", policy="plurality", options={"import-predictions": {"labels": "folders"}})
    assert both.target_label == "ferplus (plurality, folders)"
    assert fake_record(target="synthetic:night", options=other).target_label == "synthetic:night"


@pytest.mark.parametrize(
    ("source", "target", "by_encoder", "seen"),
    [
        ("ferplus", "fer2013", False, [("source", "ferplus", "same pictures")]),
        ("rafdb & fer2013", "mmafedb+blur:3", False, [("source", "fer2013", "same pictures")]),
        ("ferplus", "ferplus", False, [("source", "ferplus", "same set")]),
        ("rafdb", "ferplus", True, [("encoder", "", "same set")]),
        ("rafdb", "ferplus", False, []),
        ("synthetic:studio", "synthetic:webcam", False, []),
        ("my model's own data", "ferplus", False, []),
    ],
)
def test_a_record_of_an_older_schema_is_judged_by_names(
    written: Path, source: str, target: str, by_encoder: bool, seen: list[tuple[str, str, str]]
) -> None:
    """Schema 2 says whether the encoder has seen a target, and looks for no images."""
    old = json.loads(written.read_text(encoding="utf-8"))
    del old["seen"], old["not_compared"]
    old |= {"schema": 2, "source": source, "target": target, "seen_by_encoder": by_encoder}
    path = written.with_name(f"{DatasetName.parse(target).slug}@test.source-val.json")
    path.write_text(json.dumps(old), encoding="utf-8")
    record = read_record(path)
    assert [(each.by, each.through, each.how) for each in record.seen] == seen
    assert {each.images for each in record.seen} <= {None}
    assert record.not_compared == tuple(source.split(" & "))


def test_a_record_does_not_contradict_itself_about_what_was_seen(written: Path) -> None:
    with pytest.raises(UsageError, match="seen_by_encoder and seen disagree"):
        read_record(corrupt(written, seen_by_encoder=True))
