import shutil
from pathlib import Path

import numpy as np
import pytest

from fercache.datasets import Finding
from fercache.datasets.mmafedb import plugin
from fercache.errors import UsageError
from fercache.images.decode import decode
from tests.datasets.miniatures.mmafedb import mmafedb

ORDER = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


def test_valid_is_validation_and_grey_and_coloured_images_are_mixed(tmp_path: Path) -> None:
    mmafedb(tmp_path)
    faces = list(plugin.faces(tmp_path))
    assert [face.split for face in faces] == ["train"] * 21 + ["validation"] * 21 + ["test"] * 21
    assert {face.split for face in faces if face.id.startswith("valid/")} == {"validation"}
    assert plugin.target_split == "test"
    images = [decode(face.read()) for face in faces]
    assert len({bool(np.ptp(pixels, axis=2).any()) for pixels in images}) == 2


def test_published_counts() -> None:
    expected = plugin.expected(None)
    assert {split: tuple(counts[name] for name in ORDER) for split, counts in expected.items()} == {
        "train": (6566, 3231, 4859, 28592, 29384, 12223, 8113),
        "validation": (1017, 656, 659, 5475, 5839, 2236, 1474),
        "test": (1041, 655, 691, 5459, 5858, 2177, 1475),
    }
    assert [sum(counts.values()) for counts in expected.values()] == [92_968, 17_356, 17_356]


def test_check_says_what_a_miniature_lacks(tmp_path: Path) -> None:
    mmafedb(tmp_path)
    shutil.rmtree(tmp_path / "test" / "sad")
    findings = plugin.check(tmp_path)
    assert Finding("validation", "", 17_356, 21) in findings
    assert Finding("test", "sadness", 2_177, 0) in findings


@pytest.mark.parametrize(("name", "split"), [("valid", "validation"), ("test", "test")])
def test_every_split_must_be_there(tmp_path: Path, name: str, split: str) -> None:
    mmafedb(tmp_path)
    (tmp_path / name).rename(tmp_path / "other")
    with pytest.raises(UsageError, match="other has class folders, but is not a known split"):
        list(plugin.faces(tmp_path))
    shutil.rmtree(tmp_path / "other")
    with pytest.raises(UsageError, match=f"has no folder '{split}'. Expected:"):
        list(plugin.faces(tmp_path))
