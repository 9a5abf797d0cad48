"""Arrays of joblib dumps, and files that are something else."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import lz4.frame
import numpy as np
import pytest

from fercache.detectors._mtcnn_nets import weight_file
from fercache.errors import UsageError
from fercache.weights import joblib_arrays
from fercache.weights.joblib_arrays import read_arrays

ARRAYS = [np.arange(12, dtype=np.float32).reshape(3, 2, 2), np.zeros(1, np.float32), np.float32([[1.5, -2.0]])]


def dump(value: Any, path: Path) -> Path:
    joblib.dump(value, path, compress=("lz4", 1))
    return path


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_the_weights_of_the_wheel_are_read_as_joblib_reads_them(name: str) -> None:
    path = weight_file(name)
    expected = joblib.load(path)
    assert len(expected) > 10
    for ours, theirs in zip(read_arrays(path), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_arrays_of_any_shape(tmp_path: Path) -> None:
    for ours, theirs in zip(read_arrays(dump(ARRAYS, tmp_path / "a.lz4")), ARRAYS, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == np.float32 and ours.flags.writeable


class Runs:
    """Makes a folder when it is read as a pickle."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_code_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    for value in (Runs(folder), [Runs(folder)], [*ARRAYS, Runs(folder)]):
        with pytest.raises(UsageError, match=r"not a list of arrays: it asks for posix.mkdir|nt.mkdir"):
            read_arrays(dump(value, tmp_path / "a.lz4"))
        assert not folder.exists()


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    with pytest.raises(UsageError, match="not of float32"):
        read_arrays(dump([np.array([Runs(folder)], object)], tmp_path / "a.lz4"))
    assert not folder.exists()


@pytest.mark.parametrize(
    "value",
    [
        [np.zeros(2)],
        [np.zeros(2, ">f4")],
        [np.asfortranarray(np.ones((2, 3), np.float32))],
        [np.zeros((0, 2), np.float32)],
        {"a": ARRAYS[0]},
        [ARRAYS[0], "text"],
        ARRAYS[0],
        [np.float32(1)],
    ],
)
def test_anything_else_is_refused(value: Any, tmp_path: Path) -> None:
    path = dump(value, tmp_path / "a.lz4")
    with pytest.raises(UsageError, match=r"a\.lz4 is not a list of arrays.*Install its package again\.$"):
        read_arrays(path)


def test_a_file_that_is_absent_or_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.lz4"
    with pytest.raises(UsageError, match=r"a\.lz4 cannot be read"):
        read_arrays(path)
    whole = dump(ARRAYS * 50, path).read_bytes()
    packed = lz4.frame.compress(lz4.frame.decompress(whole)[:-9])
    for data in (b"", b"no pickle", whole[: len(whole) // 2], packed, lz4.frame.compress(pickle.dumps([])[:-1])):
        path.write_bytes(data)
        with pytest.raises(UsageError, match=r"a\.lz4 (cannot be read|is not a list)"):
            read_arrays(path)


def test_a_bomb_is_refused_before_it_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblib_arrays, "MOST_BYTES", 5_000)
    path = dump([np.zeros(2_000, np.float32)], tmp_path / "a.lz4")
    with pytest.raises(UsageError, match="too large"):
        read_arrays(path)
