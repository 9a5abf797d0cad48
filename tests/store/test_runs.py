"""Runs and predictions."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from safetensors.numpy import load_file

from fercache.errors import FercacheError, UsageError
from fercache.identity import file_hash
from fercache.store import atomic, runs
from fercache.store.runs import (
    StoredPredictions,
    changed_files,
    find_runs,
    read_predictions,
    read_run,
    write_predictions,
)
from tests.store.damage import damaged, damages
from tests.store.made_runs import written

CONFIG = {"head": "made", "seed": 3, "settings": {"lr": 1e-3}, "source": "sét"}
HISTORY = [
    {"epoch": 1, "loss": 0.1 + 0.2, "snapshot": None},
    {"epoch": 2, "loss": 1e-30, "snapshot": "epoch-02", "validation_mean_class_recall": 0.5},
]
SNAPSHOTS = {
    "epoch-10": {"mask.weight": np.arange(6, dtype=np.float32).reshape(2, 3).T, "bias": np.float32(2).reshape(())},
    "epoch-02": {"mask.weight": np.ones((3, 2), np.float16), "names": np.arange(3)},
    "final": {},
}
PREDICTIONS = StoredPredictions(
    expressions=("happiness", "sadness"),
    id=np.array(["a", "b", "ç"], dtype=object),
    truth=np.array([1, 0, 1]),
    logits={"main": np.eye(3, 2, dtype=np.float32), "text": np.ones((3, 2), np.float32)},
    sample=np.array([0, 2]),
    features=np.ones((2, 4), np.float16),
    mask_mean=np.full((2, 4), np.nan, np.float32),
)


def made(cache: Path, name: str = "run") -> Path:
    return written(cache / "runs" / name, config=CONFIG, history=HISTORY, snapshots=SNAPSHOTS)


def test_round_trip(tmp_path: Path) -> None:
    folder = made(tmp_path)
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "done", "head.safetensors", "history.csv"]
    run = read_run(folder)
    assert (run.name, run.config) == ("run", CONFIG)
    assert run.history == [{"validation_mean_class_recall": None, **HISTORY[0]}, HISTORY[1]]
    assert run.snapshots() == ("epoch-10", "epoch-02", "final"), "the order of training, not of the alphabet"
    for name, tensors in SNAPSHOTS.items():
        found = run.snapshot(name)
        assert found.keys() == tensors.keys()
        for key, tensor in tensors.items():
            assert found[key].dtype == tensor.dtype
            np.testing.assert_array_equal(found[key], tensor, strict=True)
    with pytest.raises(UsageError, match=r"no snapshot 'epoch-2'\. Did you mean"):
        run.snapshot("epoch-2")


def test_weights_are_named_by_snapshot_and_tensor(tmp_path: Path) -> None:
    names = {"epoch-10/mask.weight", "epoch-10/bias", "epoch-02/mask.weight", "epoch-02/names"}
    assert load_file(made(tmp_path) / "head.safetensors").keys() == names


def test_what_snapshots_hold_alike_is_stored_once(tmp_path: Path) -> None:
    remembered = np.arange(1000, dtype=np.float32)
    snapshots = {f"k={k}": {"memory": remembered.copy(), "k": np.int64(k)} for k in (5, 3, 1)}
    snapshots["task"] = {"text": np.ones(2)}
    run = read_run(written(tmp_path / "run", config={}, history=[], snapshots=snapshots))
    stored = load_file(run.folder / "head.safetensors")
    assert stored.keys() == {"k=5/memory", "k=5/k", "k=3/k", "k=1/k", "task/text"}
    assert run.snapshots() == ("k=5", "k=3", "k=1", "task")
    for name, tensors in snapshots.items():
        found = run.snapshot(name)
        assert found.keys() == tensors.keys()
        for key, tensor in tensors.items():
            np.testing.assert_array_equal(found[key], tensor)


@pytest.mark.parametrize("alike", [True, False])
def test_equal_snapshots_give_equal_bytes(tmp_path: Path, alike: bool) -> None:
    snapshots = {name: {"w": np.ones(3) * (1 if alike else k)} for k, name in enumerate("abcdef")}
    files = [
        written(tmp_path / str(k), config={}, history=[], snapshots=snapshots) / "head.safetensors" for k in range(5)
    ]
    assert len({file.read_bytes() for file in files}) == 1


def test_a_fitted_head_has_no_history(tmp_path: Path) -> None:
    run = read_run(written(tmp_path / "run", config={}, history=[], snapshots={"final": {"w": np.ones(2)}}))
    assert run.history == []
    assert run.snapshots() == ("final",)


def test_a_finished_run_stays_and_an_unfinished_one_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"not a finished run.*fercache train"):
        read_run(folder)
    written(folder, config={"seed": 1}, history=[], snapshots={})
    (folder / "records").mkdir()
    written(folder, config={"seed": 2}, history=[], snapshots={})
    assert read_run(folder).config == {"seed": 1}
    assert (folder / "records").is_dir()
    assert list(tmp_path.iterdir()) == [folder]


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs, "sync_file", full)
    with pytest.raises(FercacheError, match="No room to write"):
        made(tmp_path)
    assert list((tmp_path / "runs").iterdir()) == []


def test_finds_finished_runs_only(tmp_path: Path) -> None:
    made(tmp_path, "b")
    made(tmp_path, "a")
    made(tmp_path, "whole but not renamed").rename(atomic.temporary_beside(tmp_path / "runs" / "c"))
    (tmp_path / "runs" / "d").mkdir()
    (tmp_path / "runs" / "README.md").write_text("")
    assert [folder.name for folder in find_runs(tmp_path)] == ["a", "b"]
    with pytest.raises(UsageError, match="no run at"):
        read_run(tmp_path / "runs" / "e")


def test_a_newer_run_asks_for_an_upgrade(tmp_path: Path) -> None:
    folder = made(tmp_path)
    (folder / "done").write_text(json.dumps({"schema": 2}))
    with pytest.raises(UsageError, match="Upgrade"):
        read_run(folder)


@pytest.mark.parametrize("name", ["config.json", "done", "head.safetensors", "history.csv"])
@given(damage=damages)
@settings(max_examples=20, deadline=None)
def test_a_run_is_what_training_wrote_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, damage: tuple[str, object]
) -> None:
    folder = made(tmp_path_factory.mktemp("damage"))
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(damaged(whole, damage))
    changed = name != "done" and (folder / name).read_bytes() != whole
    try:
        run = read_run(folder)
        for snapshot in run.snapshots():
            run.snapshot(snapshot)
    except UsageError as error:
        assert str(folder if name == "done" else folder / name) in str(error)
        assert not changed or changed_files(folder) == [name]
    else:
        assert not changed


def test_weights_of_another_run_are_refused(tmp_path: Path) -> None:
    folder, other = made(tmp_path), tmp_path / "other"
    written(other, config=CONFIG, history=HISTORY, snapshots={"final": {"w": np.ones(2)}})
    (other / "head.safetensors").replace(folder / "head.safetensors")
    with pytest.raises(
        UsageError, match=r"head\.safetensors has changed.*expected SHA-256 \w{12}.*found.*Delete .*run"
    ):
        read_run(folder).snapshots()


def test_weights_are_hashed_once_a_command_and_again_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    monkeypatch.setattr(runs, "file_hash", lambda path: hashed.append(path) or file_hash(path))
    folder = made(tmp_path)
    hashed.clear()
    for name in read_run(folder).snapshots():
        read_run(folder).snapshot(name)
    weights = folder / "head.safetensors"
    assert hashed == [weights]
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(UsageError, match="has changed"):
        read_run(folder).snapshots()


@pytest.mark.parametrize("predictions", [PREDICTIONS, replace(PREDICTIONS, mask_mean=None)])
def test_predictions_round_trip(tmp_path: Path, predictions: StoredPredictions) -> None:
    path = tmp_path / "run" / "predictions" / "target.last.h5"
    found = read_predictions(write_predictions(path, predictions, {"run": "run", "target": "set@test"}))
    assert found.expressions == predictions.expressions
    assert found.logits.keys() == predictions.logits.keys()
    assert (found.mask_mean is None) == (predictions.mask_mean is None)
    for name, array in predictions.arrays().items():
        np.testing.assert_array_equal(found.arrays()[name], array, strict=True)


def test_predictions_that_were_copied_from_another_run_are_refused(tmp_path: Path) -> None:
    path = write_predictions(tmp_path / "run" / "predictions" / "a.h5", PREDICTIONS, {"run": "run"})
    (tmp_path / "run").rename(tmp_path / "other")
    with pytest.raises(UsageError, match="belongs to the run run, but is in the folder of other"):
        read_predictions(tmp_path / "other" / "predictions" / path.name)


@pytest.mark.parametrize(
    "change",
    [
        {"truth": np.array([1, 0])},
        {"truth": np.array([1, 0, 2])},
        {"truth": np.array([1, 0, -1])},
        {"sample": np.array([0, 3])},
        {"logits": {"main": np.ones((3, 3), np.float32)}},
        {"logits": {"main": np.ones((3, 2))}},
        {"features": np.ones((3, 4), np.float16)},
        {"mask_mean": np.ones((2, 5), np.float32)},
        {"id": np.array(["a", "b", "c"])},
    ],
    ids=lambda change: next(iter(change)),
)
def test_predictions_that_do_not_fit_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="'"):
        replace(PREDICTIONS, **change)


@given(damage=damages)
@settings(max_examples=30, deadline=None)
def test_damaged_predictions_are_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, damage: tuple[str, object]
) -> None:
    path = write_predictions(tmp_path_factory.mktemp("damage") / "p.h5", PREDICTIONS, {})
    path.write_bytes(damaged(path.read_bytes(), damage))
    try:
        np.testing.assert_array_equal(read_predictions(path).logits["main"], PREDICTIONS.logits["main"])
    except UsageError as error:
        assert "fercache evaluate" in str(error)
