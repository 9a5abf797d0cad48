"""Scores inside one dataset: every face once, by a head that has seen neither it nor its person."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fercache.loading.labelled_faces import LabelledFaces
from fercache.stages import cross_validate as stage
from fercache.store.runs import find_runs
from fercache.store.tables import FeatureTable
from tests.cli.test_wrong_use import refused
from tests.command_line import Run, draw_folder

pytestmark = pytest.mark.usefixtures("pixel_encoder")


@pytest.fixture
def office(run: Run, tmp_path: Path, pixel_encoder: object) -> Path:
    """Seven expressions of six people, two images of each, in a list without splits; one image has two copies."""
    root = draw_folder(tmp_path / "office", "studio", {"test": 12})
    manifest = root / "faces.csv"
    with manifest.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["path", "label", "subject"])
        for folder in sorted((root / "test").iterdir()):
            for number, path in enumerate(sorted(folder.iterdir())):
                rows.writerow([path.relative_to(root).as_posix(), folder.name, f"person {number // 2}"])
    done = run("extract", "--dataset", "manifest:office", "--root", manifest, "--encoder", "pixels")
    assert done.code == 0, done.err
    heads = ("--head", "class-mean", "--head", "knn", "--head", "sigmoid-mask")
    trained = run("train", "--source", "manifest:office", *heads, "--seeds", "0", "--set", "epochs=2")
    assert trained.code == 0, trained.err
    return manifest


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_face_is_scored_once_by_people_apart(
    run: Run, office: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[set[str], set[str]]] = []
    others: Callable[[FeatureTable, LabelledFaces], FeatureTable] = stage._others

    def watched(table: FeatureTable, held_out: LabelledFaces) -> FeatureTable:
        left = others(table, held_out)
        seen.append((set(left.columns.subject), set(held_out.subject)))
        return left

    monkeypatch.setattr(stage, "_others", watched)
    done = run("evaluate", "--folds", "3", "--encoder", "pixels")
    assert done.code == 0, done.err
    assert done.out.count("inside manifest:office, 3 folds, grouped by subject") == 3
    assert "scores on the training domain" in done.out and "next" not in done.out
    assert len(seen) == 9 and all(not trained & scored for trained, scored in seen)
    assert set().union(*(scored for _, scored in seen)) == {f"person {number}" for number in range(6)}
    rows = rows_of(tmp_path / "reports" / "folds" / "scores.csv")
    assert [row["faces"] for row in rows] == ["84"] * 3 and {row["scored"] for row in rows} == {"in-domain, 3 folds"}
    assert all(float(row["accuracy_low"]) <= float(row["accuracy"]) <= float(row["accuracy_high"]) for row in rows)
    for folder in find_runs(tmp_path / "cache"):  # no record that a board could show
        assert not (folder / "records").exists()
    again = run("evaluate", "--folds", "3", "--encoder", "pixels")
    assert again.out == done.out


def test_copies_of_unknown_people_stay_in_one_fold(run: Run, office: Path, tmp_path: Path) -> None:
    """A nearest neighbour that had seen copies would be always right about labels that are chance."""
    rows = rows_of(office)
    generator = np.random.default_rng(0)
    with office.with_name("copies.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label"])
        for row in rows[::2]:
            image = office.parent / row["path"]
            copy = image.with_name(f"copy-{image.name}")
            copy.write_bytes(image.read_bytes())
            label = rows[generator.integers(len(rows))]["label"]
            writer.writerows([path.relative_to(office.parent).as_posix(), label] for path in (image, copy))
    run("extract", "--dataset", "manifest:copies", "--root", office.with_name("copies.csv"), "--encoder", "pixels")
    train = ("train", "--source", "manifest:copies", "--head", "knn", "--keep-validation-copies")
    (name,) = run(*train).out.splitlines()[:1]
    done = run("evaluate", "--folds", "4", "--run", Path(name).name)
    assert done.code == 0 and "subjects unknown" in done.out, done.err
    (row,) = rows_of(tmp_path / "reports" / "folds" / "scores.csv")
    assert float(row["accuracy"]) < 0.45


def test_what_has_no_folds_is_refused(run: Run, office: Path, studio_folder: Path) -> None:
    refused(run("evaluate", "--folds", "3", "--target", "manifest:office"), "leave out --target")
    refused(run("evaluate", "--folds", "1"), "--folds")
    run("extract", "--dataset", "folder:studio", "--root", studio_folder, "--encoder", "pixels")
    pooled = ("train", "--source", "manifest:office", "--source", "folder:studio", "--head", "class-mean")
    (name,) = run(*pooled).out.splitlines()[:1]
    refused(run("evaluate", "--folds", "3", "--run", Path(name).name), "has a pooled source")
    both = run("evaluate", "--folds", "2")
    assert both.code == 0 and "skipped: " in both.err and both.out.count("inside manifest:office") == 3
