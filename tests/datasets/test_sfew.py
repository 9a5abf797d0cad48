import shutil
from pathlib import Path

import pytest

from fercache.datasets import Finding
from fercache.datasets.sfew import plugin
from fercache.errors import UsageError
from tests.datasets.miniatures import MINIATURES


@pytest.mark.parametrize("variant", MINIATURES["sfew"])
def test_val_is_validation_and_what_is_scored(tmp_path: Path, variant: str) -> None:
    MINIATURES["sfew"][variant](tmp_path)
    faces = list(plugin.faces(tmp_path))
    assert [face.split for face in faces] == ["train"] * 14 + ["validation"] * 14
    assert all(face.id.startswith("Train" if face.split == "train" else "Val") for face in faces)
    assert plugin.target_split == "validation"


def test_check_says_what_a_miniature_lacks(tmp_path: Path) -> None:
    MINIATURES["sfew"]["official"](tmp_path)
    assert plugin.expected(tmp_path) == {"train": {"": 891}, "validation": {"": 431}}
    findings = plugin.check(tmp_path)
    assert Finding("train", "", 891, 14) in findings
    assert Finding("validation", "", 431, 14) in findings
    assert Finding("train", "anger", None, 2) in findings


@pytest.mark.parametrize(
    ("gone", "named"), [(("Train",), "Train"), (("Val",), "Val"), (("Train", "Val"), "Train and Val")]
)
def test_both_splits_must_be_there(tmp_path: Path, gone: tuple[str, ...], named: str) -> None:
    MINIATURES["sfew"]["official"](tmp_path)
    for name in gone:
        shutil.rmtree(tmp_path / name)
    with pytest.raises(UsageError, match=f"has no aligned faces of {named}. Expected:"):
        list(plugin.faces(tmp_path))
