"""`verify` finds what is wrong, says what to do, and changes nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fercache.store.runs import StoredPredictions, write_predictions
from fercache.store.tables import parts_folder, quarantine_path
from fercache.store.verify import Problem, steps, verify
from tests.store import test_copies, test_prompts, test_runs
from tests.store.made_tables import columns, place, write_shard, write_table, writer


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with one of everything, and nothing wrong."""
    write_table(place(tmp_path))
    test_copies.made(tmp_path)
    test_prompts.made(tmp_path)
    run = test_runs.made(tmp_path)
    write_predictions(run / "predictions" / "target.last.h5", test_runs.PREDICTIONS, {})
    assert verify(tmp_path) == []
    return tmp_path


def only(cache: Path) -> Problem:
    before = {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()}
    (problem,) = verify(cache)
    assert {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()} == before
    return problem


def flip(path: Path, data: bytes) -> None:
    """Reverse the bytes `data` inside a file."""
    whole = path.read_bytes()
    assert data in whole
    path.write_bytes(whole.replace(data, data[::-1]))


def test_an_absent_cache_has_no_problems(tmp_path: Path) -> None:
    assert verify(tmp_path / "nowhere") == []


def test_a_flipped_bit_in_a_table(cache: Path) -> None:
    flip(place(cache), columns([20]).features["clean"].tobytes())
    problem = only(cache)
    assert problem.path == place(cache)
    assert "'features/clean' has changed" in problem.what
    assert "fercache extract" in problem.remedy


def test_a_quarantine_list_that_is_gone(cache: Path) -> None:
    quarantine_path(place(cache)).unlink()
    problem = only(cache)
    assert problem.path == quarantine_path(place(cache))
    assert "0 are listed" in problem.what


@pytest.mark.parametrize("content", [b"x" * 200_000, None], ids=["endless cell", "folder"])
def test_a_quarantine_list_that_is_none(cache: Path, content: bytes | None) -> None:
    path = quarantine_path(place(cache))
    path.unlink()
    path.mkdir() if content is None else path.write_bytes(content)
    problem = only(cache)
    assert problem.path == path
    assert "not a readable list" in problem.what


def flip_prompt(cache: Path) -> Path:
    (path,) = (cache / "prompts").rglob("*.h5")
    flip(path, test_prompts.EMBEDDINGS.tobytes())
    return path


def flip_copy(cache: Path) -> Path:
    (path,) = (cache / "copies").rglob("*.h5")
    flip(path, test_copies.COPIES.changed["mirrored"].tobytes())
    return path


def flip_prediction(cache: Path) -> Path:
    (path,) = (cache / "runs").rglob("*.h5")
    flip(path, test_runs.PREDICTIONS.logits["main"].tobytes())
    return path


def flip_weights(cache: Path) -> Path:
    path = cache / "runs" / "run" / "head.safetensors"
    flip(path, test_runs.SNAPSHOTS["epoch-10"]["mask.weight"].tobytes())
    return path


def lose_done(cache: Path) -> Path:
    (cache / "runs" / "run" / "done").unlink()
    return cache / "runs" / "run"


def leave_temporary(cache: Path) -> Path:
    path = cache / "features" / "made" / "other.h5.1-a.tmp"
    path.write_bytes(b"")
    return path


def leave_copies(cache: Path) -> Path:
    path = cache / "copies" / "made" / "other.h5.1-a.tmp"
    path.write_bytes(b"")
    return path


def leave_run(cache: Path) -> Path:
    path = cache / "runs" / "run.1-a.tmp"
    path.mkdir()
    return path


def leave_damaged(cache: Path) -> Path:
    path = cache / "features" / "made" / "other.h5.damaged"
    path.write_bytes(b"")
    return path


def leave_parts(cache: Path) -> Path:
    parts_folder(place(cache)).mkdir()
    return parts_folder(place(cache))


WRONG = [
    flip_prompt,
    flip_copy,
    flip_prediction,
    flip_weights,
    lose_done,
    leave_temporary,
    leave_copies,
    leave_run,
    leave_damaged,
    leave_parts,
]


@pytest.mark.parametrize("harm", WRONG, ids=lambda harm: harm.__name__)
def test_every_other_harm_is_found(cache: Path, harm: Callable[[Path], Path]) -> None:
    path = harm(cache)
    problem = only(cache)
    assert problem.path == path
    assert problem.what
    assert problem.remedy.startswith("Delete")


def test_unfinished_tables_can_be_resumed_and_damaged_shards_are_named(tmp_path: Path) -> None:
    path = place(tmp_path)
    with writer(path) as table:
        write_shard(table, 0)
        write_shard(table, 5)
    problem = only(tmp_path)
    assert problem.path == parts_folder(path)
    assert problem.what == "an unfinished table: 2 of 20 shards"
    assert "run the same `fercache extract` again" in problem.remedy
    (parts_folder(path) / "000005.h5").write_bytes(b"")
    _, damaged = verify(tmp_path)
    assert damaged.path.name == "000005.h5"
    (parts_folder(path) / "plan.json").unlink()
    assert only(tmp_path).path == parts_folder(path)


def test_imported_predictions_are_no_unfinished_run_and_every_step_is_counted(tmp_path: Path) -> None:
    """They have records and predictions, and were not trained here."""
    folder = tmp_path / "runs" / "imported-model"
    (folder / "records").mkdir(parents=True)
    file = folder / "predictions" / "synthetic-webcam@test.source-val.h5"
    faces, nothing = np.array(["a"], object), np.empty(0, np.int64)
    predictions = StoredPredictions(
        ("fear",),
        faces,
        np.zeros(1, np.int64),
        {"main": np.zeros((1, 1), np.float32)},
        nothing,
        np.empty((0, 0), "f2"),
        None,
    )
    write_predictions(file, predictions, {"run": folder.name})
    done: list[None] = []
    assert verify(tmp_path, lambda: done.append(None)) == []
    assert len(done) == steps(tmp_path) == 1
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    (problem,) = verify(tmp_path)
    assert problem.path == file and "import" in problem.remedy
