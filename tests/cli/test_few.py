"""`fercache train --few`: a few labelled faces of a target, from the list of `suggest` to the report."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from fercache import Settings, SuggestRequest, suggest
from fercache.loading.run_config import read_config
from fercache.records import LABELLED, Record, find_records, predictions_path, read_record
from fercache.store.runs import read_predictions
from tests.audits.planted import extracted as extract_folder
from tests.cli.test_suggest import fill_in, rows_of
from tests.cli.test_wrong_use import refused
from tests.command_line import Run, draw_folder
from tests.pixel_encoder import make_known

pytestmark = pytest.mark.usefixtures("pixel_encoder")

HEADS = ("--head", "class-mean", "--head", "gda", "--seeds", "0")


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("few-office"), "webcam", {"test": 6})


def extracted(run: Run, name: str, root: Path, *more: str) -> None:
    done = run("extract", "--dataset", f"folder:{name}", "--root", root, "--encoder", "pixels", *more)
    assert done.code == 0, done.err


@pytest.fixture(scope="module")
def suggested(tmp_path_factory: pytest.TempPathFactory, office: Path, studio_folder: Path) -> Path:
    """A folder with a cache of folder:office and folder:studio, and a list of 14 labelled faces of folder:office."""
    folder = tmp_path_factory.mktemp("few")
    settings = Settings(cache=folder / "cache", reports=folder / "reports")
    with pytest.MonkeyPatch.context() as patch:
        make_known(patch)
        for name, root in (("office", office), ("studio", studio_folder)):
            extract_folder(settings, f"folder:{name}", root)
        asked = SuggestRequest(target="folder:office", count=14, purpose="training", out=folder / "few.csv")
        suggest(settings, asked)
    fill_in(folder / "few.csv")
    return folder


@pytest.fixture
def few(run: Run, suggested: Path, tmp_path: Path) -> Path:
    """A copy of that cache in the working folder, and of the list."""
    shutil.copytree(suggested / "cache", "cache")
    return Path(shutil.copy(suggested / "few.csv", tmp_path))


def trained(run: Run, *more: object) -> list[Path]:
    """The folders of the runs, by head."""
    done = run("train", "--source", "folder:studio", *HEADS, *more)
    assert done.code == 0, done.err
    return [Path(line) for line in done.out.splitlines()[:2]]


def records_of(folder: Path, target: str) -> dict[str, Record]:
    """By selection policy."""
    found = [read_record(path) for path in find_records(Path("cache"))]
    return {r.selection: r for r in found if r.run == folder.name and r.target == target and not r.adaptation}


def rewritten(path: Path, name: str, rows: list[dict[str, str]]) -> Path:
    with (path.parent / name).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path.parent / name


def test_heads_learn_from_the_labels_and_are_scored_on_the_other_faces(
    run: Run, few: Path, office: Path, sketch_folder: Path
) -> None:
    plain, with_labels = trained(run), trained(run, "--few", few)
    assert not {folder.name for folder in plain} & {folder.name for folder in with_labels}
    extracted(run, "sketch", sketch_folder)
    extracted(run, "office+blur:1@test", office)
    evaluated = run("evaluate", "--adapt", "center")
    assert evaluated.code == 0, evaluated.err

    ids = {row["id"] for row in rows_of(few)}
    for folder in with_labels:
        config = read_config(folder)[1]
        assert config.few_labels is not None and set(config.few_labels.faces) == ids
        assert config.train_rows == read_config(plain[0])[1].train_rows
        for target, kept, sees, left_out in (
            ("folder:office", 28, "14 labels", {LABELLED: 14}),
            ("folder:office+blur:1", 28, "14 labels", {LABELLED: 14}),
            ("folder:sketch", 35, "nothing", {}),
        ):
            record = records_of(folder, target)["source-val"]
            assert (record.kept, record.sees, record.dropped) == (kept, sees, left_out)
            scored = read_predictions(predictions_path(Path("cache/runs") / folder.name, record))
            assert len(scored.id) == kept and (ids.isdisjoint(scored.id) or target == "folder:sketch")
        oracle = records_of(folder, "folder:office").get("oracle")
        assert oracle is None or (oracle.sees, oracle.method_sees) == ("oracle", "few labels")
    assert {record.sees for record in records_of(plain[0], "folder:office").values()} <= {"nothing", "oracle"}


def test_faces_that_were_learned_from_are_not_suggested_again(run: Run, few: Path, office: Path) -> None:
    trained(run, "--few", few)
    ids = {row["id"] for row in rows_of(few)}
    extracted(run, "copy", office)
    for target in ("office", "copy"):  # the same images under another name
        more = few.with_name(f"{target}.csv")
        done = run("suggest", f"folder:{target}", "--count", "100", "--for", "training", "--out", more)
        assert done.code == 0, done.err
        assert len(rows_of(more)) == 28 and ids.isdisjoint(row["id"] for row in rows_of(more))
    fill_in(few.with_name("office.csv"))
    trained(run, "--few", few.with_name("office.csv"))
    again = run("suggest", "folder:office", "--for", "training", "--out", "more.csv")
    refused(again, "Runs have learned from labels of all 42 faces of folder:office")


def test_the_key_depends_on_the_labels_and_not_on_the_file(run: Run, few: Path) -> None:
    plain, first = trained(run), trained(run, "--few", few)
    rows = rows_of(few)
    unlabelled = [{**rows[0], "id": "not/there.png", "label": "", "number": "99"}]
    assert trained(run, "--few", rewritten(few, "copy.csv", [*unlabelled, *reversed(rows)])) == first
    assert trained(run) == plain
    other = "fear" if rows[0]["label"] != "fear" else "anger"
    changed = trained(run, "--few", rewritten(few, "changed.csv", [{**rows[0], "label": other}, *rows[1:]]))
    fewer = trained(run, "--few", rewritten(few, "fewer.csv", rows[1:]))
    assert len({*plain, *first, *changed, *fewer}) == 8


def test_labels_that_are_not_in_the_list_reach_nothing(run: Run, few: Path, office: Path, tmp_path: Path) -> None:
    """The same images, and other labels in their table: only the scores change."""
    outputs = []
    rows = rows_of(few)
    for name, moved in (("plain", 0), ("shuffled", 1)):
        root = tmp_path / name
        for i, image in enumerate(sorted(office.rglob("*.png"))):
            copy = root / "all" / f"{i:03}.png"
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(image.read_bytes())
        images, labels = sorted(office.rglob("*.png")), [image.parent.name for image in sorted(office.rglob("*.png"))]
        labels = [labels[(i + 17 * moved) % len(labels)] for i in range(len(labels))]
        path = root / f"{name}.csv"
        lines = [f"all/{i:03}.png,{label}" for i, label in enumerate(labels)]
        path.write_text("\n".join(["path,label", *lines]) + "\n")
        done = run("extract", "--dataset", f"manifest:{name}", "--root", path, "--encoder", "pixels")
        assert done.code == 0, done.err
        ids = {str(image.relative_to(office)): f"all/{i:03}.png" for i, image in enumerate(images)}
        listed = [{**row, "id": ids[row["id"]], "target": f"manifest:{name}"} for row in rows]
        folder = trained(run, "--few", rewritten(few, f"{name}-few.csv", listed))[1]
        assert run("evaluate", "--target", f"manifest:{name}").code == 0
        record = records_of(folder, f"manifest:{name}")["source-val"]
        scored = read_predictions(predictions_path(Path("cache/runs") / folder.name, record))
        outputs.append((read_config(folder)[1], record, scored))
    (one, ours, before), (two, theirs, after) = outputs
    assert one.few_labels is not None and two.few_labels is not None and one.few_labels.faces == two.few_labels.faces
    assert list(before.id) == list(after.id) and np.array_equal(before.logits["main"], after.logits["main"])
    assert ours.scores["main"].accuracy != theirs.scores["main"].accuracy


@pytest.mark.usefixtures("blank_figures")
def test_tables_keep_methods_with_labels_apart_however_many(run: Run, few: Path, sketch_folder: Path) -> None:
    extracted(run, "sketch", sketch_folder)
    plain, learned = trained(run)[0], trained(run, "--few", few)[0]
    trained(run, "--few", rewritten(few, "fewer.csv", rows_of(few)[:9]))
    assert run("evaluate").code == 0
    shown = run("compare")
    assert shown.code == 0, shown.err
    heads = [line for line in shown.out.splitlines() if "folder:studio" in line and "sees" in line]
    assert len([line for line in heads if "sees: few labels)" in line]) == 1, shown.out
    assert len([line for line in heads if "sees: few labels of another target)" in line]) == 1
    with_labels = shown.out.partition("sees: few labels)")[2]
    assert "few=14 of folder:office" in with_labels and "few=9 of folder:office" in with_labels
    with Path("reports/latest/results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["sees"] for row in rows if row["target"] == "folder:office"} >= {"nothing", "9 labels", "14 labels"}
    with Path("reports/latest/summary.csv").open(newline="") as stream:
        assert {row["sees"] for row in csv.DictReader(stream)} == {
            "nothing",
            "few labels",
            "few labels of another target",
        }
    page = Path("reports/latest/index.html").read_text()
    assert f"--few {few}" in page
    section = page.partition('<section id="few-labels"')[2].partition("</section>")[0]
    two = run("compare", plain.name, learned.name)
    assert two.code == 0 and "folder:office: only A is right on" in two.out, two.err
    assert section.count('<tr><th scope="row"') == 4 and "few=9 of folder:office" in section


@pytest.mark.usefixtures("blank_figures")
def test_a_report_of_such_runs_alone(run: Run, few: Path) -> None:
    trained(run, "--few", few)
    assert run("evaluate", "--target", "folder:office").code == 0
    shown = run("compare")
    assert shown.code == 0 and "sees: few labels)" in shown.out, shown.err
    assert '<section id="few-labels"' in Path("reports/latest/index.html").read_text()


def test_predict_and_estimate_take_such_runs(run: Run, few: Path, studio_folder: Path) -> None:
    folder = trained(run, "--few", few)[0]
    assert run("evaluate").code == 0
    few.unlink()
    image = next((studio_folder / "test").rglob("*.png"))
    assert run("predict", image, "--run", folder.name).code == 0
    estimated = run("estimate", "folder:office", "--run", folder.name)
    assert estimated.code == 0 and "note:" not in estimated.err, estimated.err
    again = few.with_name("more.csv")
    assert run("suggest", "folder:office", "--run", folder.name, "--count", "30", "--out", again).code == 0
    fill_in(again)
    refused(
        run("estimate", "folder:office", "--labelled", again, "--run", folder.name),
        f"{folder.name} learned from",
        "of the labelled faces",
    )


def test_wrong_lists_are_refused(run: Run, few: Path, office: Path, tmp_path: Path) -> None:
    rows = rows_of(few)

    def wrong(changes: dict[str, str], *parts: str, line: int = 0) -> None:
        given = [{**row, **changes} if i == line else row for i, row in enumerate(rows)]
        path = rewritten(few, "wrong.csv", given)
        refused(run("train", "--source", "folder:studio", *HEADS, "--few", path), *parts)

    wrong({"label": "bored"}, "wrong.csv, line 2: 'bored' is not an expression")
    wrong({"label": "contempt"}, "wrong.csv, line 3: contempt is not among the expressions", "--classes 8", line=1)
    wrong({"id": "x.png"}, "line 2: folder:office has no face 'x.png'", "fercache suggest folder:office")
    wrong({"id": rows[1]["id"]}, f"line 3: {rows[1]['id']} is also in line 2")
    wrong({"target": "folder:other"}, "line 3: the target is 'folder:office', but above it is 'folder:other'")
    given = [{**row, "label": ""} for row in rows]
    command = ("train", "--source", "folder:studio", *HEADS, "--few")
    refused(run(*command, rewritten(few, "empty.csv", given)), "empty.csv has no labels", "fercache suggest")
    given = [{**row, "target": "folder:nothing"} for row in rows]
    refused(run(*command, rewritten(few, "other.csv", given)), "fercache extract --dataset folder:nothing")
    given = [{**row, "target": "folder:studio"} for row in rows]
    refused(run(*command, rewritten(few, "own.csv", given)), "which is the source")
    (tmp_path / "bare.csv").write_text("id,label\na,fear\n")
    refused(run(*command, tmp_path / "bare.csv"), "no column target")
    refused(run(*command, tmp_path / "none.csv"), "none.csv")

    turned = tmp_path / "turned"
    images = sorted(office.rglob("*.png"))
    for image, other in zip(images, reversed(images), strict=True):
        copy = turned / image.relative_to(office)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(other.read_bytes())
    extracted(run, "office", turned)
    refused(run(*command, few), "line 2: the image of", "has changed", f"expected {rows[0]['image']}, found sha256:")
