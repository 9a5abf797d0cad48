"""`fercache evaluate --adapt`: no label of the target reaches an adaptation, and its scores are kept apart."""

import csv
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from fercache.records import Record, find_records, predictions_path, read_record
from fercache.store.runs import read_predictions
from tests.audits.planted import draw_folder
from tests.command_line import Run

pytestmark = pytest.mark.usefixtures("pixel_encoder")

ADAPT = ("--adapt", "center-balanced", "--adapt", "center-balanced-unguarded", "--adapt", "prior")


@pytest.fixture
def trained(run: Run, tmp_path: Path) -> Path:
    """A run on a folder, and the folder of another domain."""
    source = draw_folder(tmp_path / "mine", per_class={"train": 12})
    for command in (
        ("extract", "--dataset", "folder:mine", "--root", source, "--encoder", "pixels"),
        ("train", "--source", "folder:mine", "--head", "linear-probe", "--seeds", "0"),
    ):
        outcome = run(*command)
        assert outcome.code == 0, outcome.err
    return draw_folder(tmp_path / "theirs", first=500, per_class={"test": 4})


def listed(folder: Path, name: str, shuffled: bool) -> Path:
    """A list of the folder's images, with their labels or with shuffled ones."""
    images = sorted(folder.rglob("*.png"))
    labels = [image.parent.name for image in images]
    if shuffled:
        random.Random(1).shuffle(labels)
    path = folder / f"{name}.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["path", "label"])
        rows.writerows(zip([image.relative_to(folder) for image in images], labels, strict=True))
    return path


def scored(run: Run, folder: Path, name: str, shuffled: bool) -> dict[str, Record]:
    """The records of source validation by adaptation, "" without one."""
    root = listed(folder, name, shuffled)
    assert run("extract", "--dataset", f"manifest:{name}", "--root", root, "--encoder", "pixels").code == 0
    outcome = run("evaluate", "--target", f"manifest:{name}", *ADAPT)
    assert outcome.code == 0, outcome.err
    records = [read_record(path) for path in find_records(Path("cache"))]
    return {
        record.adaptation.name if record.adaptation else "": record
        for record in records
        if record.target == f"manifest:{name}" and record.selection == "source-val"
    }


def test_shuffled_labels_of_the_target_change_nothing_but_the_scores(run: Run, trained: Path) -> None:
    plain, shuffled = scored(run, trained, "plain", shuffled=False), scored(run, trained, "shuffled", shuffled=True)
    assert set(plain) == set(shuffled) == {"", *ADAPT[1::2]}
    for name in plain:
        ours, theirs = (
            read_predictions(predictions_path(Path("cache/runs") / record.run, record))
            for record in (plain[name], shuffled[name])
        )
        assert list(ours.id) == list(theirs.id)
        assert np.array_equal(ours.logits["main"], theirs.logits["main"])
        assert plain[name].adaptation == shuffled[name].adaptation
    assert plain[""].scores["main"].accuracy > shuffled[""].scores["main"].accuracy


def test_records_say_what_a_method_saw(run: Run, trained: Path) -> None:
    found = scored(run, trained, "plain", shuffled=False)
    assert {name: record.sees for name, record in found.items()} == {
        name: "unlabelled target" if name else "nothing" for name in found
    }
    assert len({record.method_key for record in found.values()}) == len(found)
    unguarded = found["center-balanced-unguarded"].adaptation
    assert unguarded is not None
    assert (unguarded.faces, unguarded.declined) == (28, "")
    oracles = [record for path in find_records(Path("cache")) if (record := read_record(path)).selection == "oracle"]
    assert {record.sees for record in oracles} == {"oracle"}
    assert {record.adaptation for record in oracles} == {None}


def test_adapted_methods_have_tables_of_their_own(run: Run, trained: Path) -> None:
    scored(run, trained, "plain", shuffled=False)
    screen = run("compare").out
    nothing, adapted = screen.split("Trained on folder:mine (sees: unlabelled target)")
    assert "center-balanced" not in nothing
    assert "adapt=center-balanced-unguarded" in adapted
    with Path("reports/latest/summary.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["sees"] for row in rows if "adapt" in row["changed_settings"]} == {"unlabelled target"}
    assert {row["sees"] for row in rows if "adapt" not in row["changed_settings"]} == {"nothing"}


def test_what_is_scored_already_is_not_scored_again(run: Run, trained: Path) -> None:
    scored(run, trained, "plain", shuffled=False)
    assert run("evaluate", "--target", "manifest:plain", *ADAPT).out.startswith("All runs are already scored")
    more = run("evaluate", "--target", "manifest:plain", "--adapt", "center").out.splitlines()
    assert [" manifest:plain, center" in line for line in more[1:-1]] == [True]


def test_an_unknown_adaptation_is_refused(run: Run, trained: Path) -> None:
    outcome = run("evaluate", "--adapt", "centre")
    assert outcome.code == 2
    assert "There is no adaptation 'centre'. Did you mean 'center'?" in outcome.err


def test_a_run_is_the_same_with_the_target_and_without_it(run: Run, trained: Path) -> None:
    """Trained before the target existed, beside it, and after it was deleted."""

    def weights() -> dict[str, bytes]:
        return {folder.name: (folder / "head.safetensors").read_bytes() for folder in Path("cache/runs").iterdir()}

    def trained_again() -> dict[str, bytes]:
        shutil.rmtree("cache/runs")
        assert run("train", "--source", "folder:mine", "--head", "linear-probe", "--seeds", "0").code == 0
        return weights()

    before = weights()
    scored(run, trained, "plain", shuffled=False)
    assert weights() == before
    assert trained_again() == before
    for table in Path("cache/features/pixels").glob("manifest-plain*"):
        table.unlink()
    assert trained_again() == before
