"""`fercache import-predictions`: other models appear in the same tables, and errors in files are named."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fercache.records import Record, find_records, predictions_path, read_record
from fercache.scoring.metrics import predict
from fercache.store.runs import read_predictions
from tests.audits.planted import draw_folder
from tests.command_line import Outcome, Run, prepare_once

pytestmark = pytest.mark.usefixtures("pixel_encoder")
PEOPLE = ("ann", "bob", "cid")


@pytest.fixture
def theirs(run: Run, tmp_path: Path, shelf: Path) -> Path:
    """A dataset with subjects and groups that was extracted, a run of ours on it, and that run's logits as a CSV."""
    prepare_once(lambda: prepare(run, tmp_path), tmp_path, shelf)
    return tmp_path / "theirs.csv"


def prepare(run: Run, tmp_path: Path) -> None:
    draw_folder(tmp_path / "mine")
    faces = sorted((tmp_path / "mine").glob("*/*/*.png"))
    rows = [
        {
            "path": str(path.relative_to(tmp_path)),
            "label": path.parent.name,
            "split": path.parent.parent.name,
            "subject": PEOPLE[i % 3] if path.parent.parent.name == "test" else "",
            "age": "young" if i % 2 else "old",
        }
        for i, path in enumerate(faces)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "faces.csv", index=False)
    for command in (
        ("extract", "--dataset", "manifest:mine", "--root", tmp_path / "faces.csv", "--encoder", "pixels"),
        ("train", "--source", "manifest:mine", "--head", "linear-probe", "--seeds", "0"),
        ("evaluate", "--target", "manifest:mine"),
    ):
        outcome = run(*command)
        assert outcome.code == 0, outcome.err
    ours = next(record for record in records() if record.selection == "source-val")
    found = read_predictions(predictions_path(Path("cache/runs") / ours.run, ours))
    table = pd.DataFrame(found.logits["main"], columns=list(found.expressions))
    table.insert(0, "id", found.id)
    table.to_csv(tmp_path / "theirs.csv", index=False)


def records() -> Iterator[Record]:
    return map(read_record, find_records(Path("cache")))


def imported(run: Run, file: Path, *more: str) -> Outcome:
    return run("import-predictions", file, "--target", "manifest:mine", "--source", "manifest:mine", *more)


def changed(file: Path, table: pd.DataFrame) -> Path:
    table.to_csv(file, index=False)
    return file


def test_the_same_logits_have_the_same_scores(run: Run, theirs: Path) -> None:
    outcome = imported(run, theirs, "--model", "their net")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("their net on manifest:mine: ")
    assert outcome.out.endswith("next: fercache compare\n")
    ours, mine = (
        next(r for r in records() if r.head == head and r.selection == "source-val")
        for head in ("linear-probe", "their net")
    )
    assert (mine.scores["main"], mine.kept, mine.target) == (ours.scores["main"], ours.kept, ours.target)
    assert mine.groups == ours.groups
    assert set(mine.groups) == {"age"} and set(mine.groups["age"]) == {"old", "young"}
    assert sum(group.n for group in mine.groups["age"].values()) == mine.kept
    assert (mine.resampled, ours.resampled) == ("subjects", "subjects")
    assert mine.calibration is not None and sum(mine.calibration.faces) == mine.kept
    screen = run("compare").out
    accuracy = screen.partition("accuracy, %")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in accuracy.splitlines()[2:]] == ["linear-probe", "their"]
    page = Path("reports/latest/index.html").read_text(encoding="utf-8")
    assert "import-predictions" in page and "--model &#39;their net&#39;" in page


def test_probabilities_of_several_models_in_any_order_and_under_other_names(run: Run, theirs: Path) -> None:
    table = pd.read_csv(theirs, dtype={"id": str}).rename(columns={"happiness": "happy"}).sample(frac=1, random_state=0)
    scores = table.drop(columns="id").to_numpy()
    likely = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    soft = table.copy()
    soft.loc[:, soft.columns != "id"] = likely
    both = pd.concat([soft.assign(model="soft"), table.assign(model="raw")])
    outcome = imported(run, changed(theirs, both))
    assert outcome.code == 0, outcome.err
    raw, soft_record = (next(r for r in records() if r.head == model) for model in ("raw", "soft"))
    assert raw.scores == soft_record.scores
    assert raw.calibration is not None and soft_record.calibration is not None
    assert raw.calibration.ece == pytest.approx(soft_record.calibration.ece, abs=1e-4)


def test_a_model_without_some_expression_is_scored_on_what_both_know(run: Run, theirs: Path) -> None:
    table = pd.read_csv(theirs, dtype={"id": str}).drop(columns="fear")
    outcome = imported(run, changed(theirs, table), "--model", "six", "--selection", "oracle")
    assert outcome.code == 0, outcome.err
    six = next(r for r in records() if r.head == "six")
    assert six.selection == "oracle" and "fear" not in six.classes
    assert six.dropped == {"fear": 10}
    found = read_predictions(predictions_path(Path("cache/runs") / six.run, six))
    assert (predict(found.logits["main"], six.classes, six.classes) == found.truth).mean() == six.scores[
        "main"
    ].accuracy


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda t: t.assign(id=["nobody", *t["id"][1:]]), "1 ids are not in manifest:mine, such as 'nobody'"),
        (lambda t: t[3:], "3 of the 70 scored faces of manifest:mine@test have no prediction"),
        (lambda t: pd.concat([t, t[:1]]), "more than once"),
        (lambda t: t.assign(fear=[np.nan, *t["fear"][1:]]), "line 2: fear is 'nan', expected a finite number"),
        (lambda t: t.assign(fear=["much", *t["fear"][1:].astype(str)]), "line 2: fear is 'much'"),
        (lambda t: t.assign(glee=0.5), "glee"),
        (lambda t: t.assign(happy=0.5), "happiness and happy are both happiness"),
        (lambda t: t.drop(columns="id"), "no column id"),
        (lambda t: t[["id", "fear"]], "two or more expressions, found 1"),
        (lambda t: t.assign(**{c: 0.4 for c in t if c != "id"}), "these add up to 2.8"),
        (lambda t: t[:0], "no lines below its header"),
        (lambda t: t.assign(fear=1e39), "1e+39 is too large for a logit"),
        (
            lambda t: t.assign(model=[*["net"] * 4, "two\nlines", *t["id"][5:]]),
            "line 6: 'two\\nlines' is not a model name",
        ),
        (
            lambda t: pd.concat([t.assign(model="a"), t.assign(model="b", **{c: 0.4 for c in t if c != "id"})]),
            "line 72: numbers between 0 and 1",
        ),
        (lambda t: pd.concat([t.assign(model="net"), t.assign(model="net ")]), "more than once"),
    ],
)
def test_errors_in_a_file_are_reported(run: Run, theirs: Path, damage: object, complaint: str) -> None:
    assert callable(damage)
    outcome = imported(run, changed(theirs, damage(pd.read_csv(theirs, dtype={"id": str}))), "--model", "their net")
    assert outcome.code == 2
    assert complaint in outcome.err and "Traceback" not in outcome.err
    assert not any(record.encoder == "imported" for record in records())


def test_errors_in_a_request_are_reported(run: Run, theirs: Path) -> None:
    for more, complaint in (
        ((theirs,), "--model NAME"),
        ((theirs.with_name("none.csv"), "--model", "x"), "There is no file"),
        ((theirs.parent, "--model", "x"), "Is a directory"),
    ):
        outcome = imported(run, *more)
        assert outcome.code == 2 and complaint in outcome.err, outcome.err
    trained_on = run(
        "import-predictions", theirs, "--target", "manifest:mine@train", "--source", "manifest:mine", "--model", "x"
    )
    assert trained_on.code == 2 and "trained on" in trained_on.err


def test_records_of_a_run_that_is_not_finished_are_refused(run: Run, theirs: Path) -> None:
    (done,) = Path("cache/runs").glob("*/done")
    done.unlink()
    outcome = run("compare")
    assert outcome.code == 2 and "has records, but the run is not finished" in outcome.err
    config = json.loads((done.parent / "config.json").read_text(encoding="utf-8"))
    assert config["source"] == "manifest:mine"


def test_nothing_of_a_file_is_taken_when_one_of_its_models_is_wrong(run: Run, theirs: Path) -> None:
    table = pd.read_csv(theirs, dtype={"id": str})
    outcome = imported(run, changed(theirs, pd.concat([table.assign(model="a"), table[5:].assign(model="b")])))
    assert outcome.code == 2 and "have no prediction" in outcome.err
    assert not any(record.encoder == "imported" for record in records())


def test_an_import_that_replaces_another_is_announced(run: Run, theirs: Path) -> None:
    assert "replaces" not in imported(run, theirs, "--model", "net").err
    assert "replaces" not in imported(run, theirs, "--model", "net").err, "the same file again changes nothing"
    table = pd.read_csv(theirs, dtype={"id": str})
    table["fear"] += 1
    assert (
        "net on manifest:mine: replaces the earlier import"
        in imported(run, changed(theirs, table), "--model", "net").err
    )


@pytest.mark.parametrize("name", ["two\nlines", "bell\a", " "])
def test_a_name_that_would_tear_a_table_apart_is_refused(run: Run, theirs: Path, name: str) -> None:
    outcome = imported(run, theirs, "--model", name)
    assert outcome.code == 2 and "is not a model name" in outcome.err
