"""What may and may not change what is trained and which snapshot is chosen."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from fercache import EncoderRequest, ExtractRequest, Settings, extract
from fercache.loading.run_config import read_config
from fercache.loading.sources import read_source
from fercache.options.evaluate import EvaluateRequest
from fercache.records import Record, frame, read_record
from fercache.reporting.boards import boards
from fercache.scoring.selection import POLICIES, choose, policies_of
from fercache.stages.evaluate import evaluate
from fercache.stages.train import TrainRequest, train
from fercache.store.tables import find_tables
from tests.audits.planted import draw_folder

pytestmark = pytest.mark.usefixtures("pixel_encoder")

HEADS = ("knn", "sigmoid-mask")
Row = list[str]


def listed(root: Path, splits: dict[str, int]) -> list[Row]:
    """The rows (path, label, split) of a manifest of synthetic faces."""
    draw_folder(root, per_class=splits)
    return [[str(p.relative_to(root)), p.parent.name, p.parent.parent.name] for p in sorted(root.rglob("*.png"))]


def extracted(settings: Settings, name: str, root: Path, rows: list[Row], **more: Any) -> Path:
    manifest = root / f"{name}.csv"
    with manifest.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["path", "label", "split"], *rows])
    return extract(
        settings,
        ExtractRequest(dataset=f"manifest:{name}", root=manifest, encoder=EncoderRequest(name="pixels"), **more),
    )


def trained(settings: Settings, source: str, **more: Any) -> list[Path]:
    request = TrainRequest(source=source, heads=HEADS, seeds=(0,), device="cpu", **more)
    return train(settings, request)


def scored(settings: Settings, target: str) -> list[Record]:
    return [read_record(path) for path in evaluate(settings, EvaluateRequest(targets=(target,), device="cpu"))]


def relabelled(rows: list[Row], split: str) -> list[Row]:
    """Every face of a split shows the next expression."""
    names = sorted({label for _, label, _ in rows})
    following = dict(zip(names, [*names[1:], names[0]], strict=True))
    return [[path, following[label] if of == split else label, of] for path, label, of in rows]


def test_labels_of_a_target_change_what_the_oracle_chooses_and_nothing_else(settings: Settings, tmp_path: Path) -> None:
    rows = listed(tmp_path, {"train": 12, "validation": 6, "test": 12})
    extracted(settings, "source", tmp_path, rows, shifted=True)
    tests = [row for row in rows if row[2] == "test"]
    extracted(settings, "right", tmp_path, tests)
    extracted(settings, "wrong", tmp_path, relabelled(tests, "test"))
    folders = trained(settings, "manifest:source")
    chosen = {
        target: {(r.head, r.selection): r.snapshot for r in scored(settings, f"manifest:{target}")}
        for target in ("right", "wrong")
    }
    honest = {policy for policy in POLICIES if policy != "oracle"}
    for folder in folders:
        run, config = read_config(folder)
        for policy in honest:
            expected = choose(policy, run.history, config.validation_rows)
            assert {chosen[target][config.head, policy] for target in chosen} == {expected}, (config.head, policy)
    assert any(chosen["right"][head, "oracle"] != chosen["wrong"][head, "oracle"] for head in HEADS)
    assert any(chosen["wrong"][head, "oracle"] != chosen["wrong"][head, "source-val"] for head in HEADS)


@pytest.mark.parametrize("splits", [{"train": 12, "test": 4}, {"train": 12, "validation": 4, "test": 4}])
def test_another_label_of_a_test_face_trains_nothing_again(
    settings: Settings, tmp_path: Path, splits: dict[str, int]
) -> None:
    rows = listed(tmp_path, splits)
    tables, runs = [], []
    for of in (rows, relabelled(rows, "test"), relabelled(rows, "train")):
        tables.append(extracted(settings, "mine", tmp_path, of))
        runs.append(trained(settings, "manifest:mine"))
    assert len(set(tables)) == 3, "the table holds the labels, so it is another"
    assert runs[0] == runs[1] != runs[2]


def test_sampled_faces_depend_only_on_the_rows_that_they_are_sampled_from(settings: Settings, tmp_path: Path) -> None:
    rows = listed(tmp_path, {"train": 12, "test": 4})
    found = []
    for of in (rows, [row for row in rows if row[2] != "test"]):
        extracted(settings, "mine", tmp_path, of)
        source = read_source(settings, TrainRequest(source="manifest:mine", faces=40, device="cpu"))
        found.append((source.faces.train.features.tolist(), source.faces.validation.features.tolist()))
    assert found[0] == found[1]


def test_seeds_of_two_methods_start_from_the_same_weights(settings: Settings, tmp_path: Path) -> None:
    extracted(settings, "mine", tmp_path, listed(tmp_path, {"train": 8, "test": 4}))
    still = {"learning_rate": 1e-30, "epochs": 1}
    starts = {}
    for weight, seed in ((0.0, 0), (1.5, 0), (1.5, 1)):
        asked = {**still, "separation_weight": weight}
        request = TrainRequest(source="manifest:mine", heads=("sigmoid-mask",), seeds=(seed,), set=asked, device="cpu")
        (folder,) = train(settings, request)
        starts[weight, seed] = read_config(folder)[0].snapshot("epoch-01")["classifier.weight"].tolist()
    assert starts[0.0, 0] == starts[1.5, 0] != starts[1.5, 1]


def with_copies(root: Path, copies: int) -> list[Row]:
    """Validation has some images of train, under other names."""
    rows = listed(root, {"train": 12, "validation": 6, "test": 4})
    there = [row for row in rows if row[2] == "train"][:copies]
    for path, label, _ in there:
        copy = f"validation/{label}/copy-{Path(path).name}"
        (root / copy).write_bytes((root / path).read_bytes())
        rows.append([copy, label, "validation"])
    return rows


def test_source_validation_leaves_out_what_is_trained_on(settings: Settings, tmp_path: Path) -> None:
    extracted(settings, "mine", tmp_path, with_copies(tmp_path, 5), shifted=True)
    (folder, _), (kept, _) = (trained(settings, "manifest:mine", keep_validation_copies=keep) for keep in (False, True))
    without, with_them = read_config(folder)[1], read_config(kept)[1]
    assert (without.validation_rows, without.validation_copies) == (7 * 6, 5)
    assert (with_them.validation_rows, with_them.validation_copies) == (7 * 6 + 5, 0)
    assert without.method_key != with_them.method_key
    source = read_source(settings, TrainRequest(source="manifest:mine", device="cpu"))
    assert source.faces.shifted is not None and len(source.faces.shifted) == 7 * 6
    options = {record.run: record.options["train"] for record in scored(settings, "manifest:mine")}
    assert "keep-validation-copies" in options[kept.name] and "keep-validation-copies" not in options[folder.name]


def test_held_out_faces_of_train_whose_image_stays_are_left_out_too(settings: Settings, tmp_path: Path) -> None:
    rows = listed(tmp_path, {"train": 12, "test": 4})
    for path, label, _ in [row for row in rows if row[2] == "train"]:
        copy = f"train/{label}/copy-{Path(path).name}"
        (tmp_path / copy).write_bytes((tmp_path / path).read_bytes())
        rows.append([copy, label, "train"])
    extracted(settings, "mine", tmp_path, rows)
    source = read_source(settings, TrainRequest(source="manifest:mine", device="cpu"))
    held_out = {tuple(face.tolist()) for face in source.faces.validation.features}
    assert source.copies > 0
    assert not held_out & {tuple(face.tolist()) for face in source.faces.train.features}


def test_changed_images_of_source_validation_are_made_unless_they_are_not_wanted(
    settings: Settings, tmp_path: Path
) -> None:
    rows = listed(tmp_path, {"train": 12, "validation": 6, "test": 4})
    extracted(settings, "mine", tmp_path, rows, shifted=False)
    (plain,) = train(settings, TrainRequest(source="manifest:mine", heads=("knn",), seeds=(0,), device="cpu"))
    assert "source-shifted" not in policies_of(read_config(plain)[0].history)
    extracted(settings, "mine", tmp_path, rows)
    (shifted,) = train(settings, TrainRequest(source="manifest:mine", heads=("class-mean",), seeds=(0,), device="cpu"))
    assert "source-shifted" in policies_of(read_config(shifted)[0].history)
    names = {info.identity["dataset"] for info in find_tables(settings.cache)}
    assert names == {"manifest:mine", "manifest:mine+shift:4"}
    records = [read_record(path) for path in evaluate(settings, EvaluateRequest(device="cpu"))]
    assert {record.target for record in records} == {"manifest:mine"}, "what snapshots are chosen by is no target"
    (board,) = boards(frame(records))
    assert board.policy == "source-val", "the policy that both heads have"
    (board,) = boards(frame(record for record in records if record.head == "class-mean"))
    assert board.policy == "source-shifted"


def test_a_head_that_learns_from_changed_images_is_another_run_with_them(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def runs() -> dict[str, str]:
        request = TrainRequest(source="manifest:mine", heads=("shift-gda", "class-mean"), seeds=(0,), device="cpu")
        return {read_config(folder)[1].head: folder.name for folder in train(settings, request)}

    rows = listed(tmp_path, {"train": 12, "validation": 6, "test": 4})
    extracted(settings, "mine", tmp_path, rows, shifted=False)
    without = runs()
    assert "shift-gda learns from corrupted images" in capsys.readouterr().err
    extracted(settings, "mine", tmp_path, rows, shifted=True)
    with_images = runs()
    assert "corrupted images" not in capsys.readouterr().err
    assert with_images["class-mean"] == without["class-mean"]
    assert with_images["shift-gda"] != without["shift-gda"]


def test_the_faces_of_changed_images_are_known_unchanged(settings: Settings, tmp_path: Path) -> None:
    rows = listed(tmp_path, {"train": 12, "validation": 6, "test": 4})
    extracted(settings, "mine", tmp_path, rows, shifted=True)
    faces = read_source(settings, TrainRequest(source="manifest:mine", device="cpu")).faces
    assert faces.shifted is not None and faces.unshifted is not None
    assert torch.equal(faces.unshifted.features, faces.validation.features)
    assert torch.equal(faces.unshifted.labels, faces.shifted.labels)
    assert not torch.equal(faces.unshifted.features, faces.shifted.features)


def test_without_a_validation_split_there_are_no_changed_images(settings: Settings, tmp_path: Path) -> None:
    rows = listed(tmp_path, {"train": 12, "test": 4})
    extracted(settings, "mine", tmp_path, rows, shifted=True)
    assert [info.identity["dataset"] for info in find_tables(settings.cache)] == ["manifest:mine"]
    trained(settings, "manifest:mine")
    assert {r.selection for r in scored(settings, "manifest:mine")} == set(POLICIES) - {"source-shifted"}
