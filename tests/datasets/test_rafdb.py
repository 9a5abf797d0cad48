from pathlib import Path

import pytest

from fercache.datasets import ABSENT, Finding
from fercache.datasets.rafdb import plugin
from fercache.errors import UsageError
from tests.datasets.miniatures.images import write
from tests.datasets.miniatures.rafdb import kaggle, official

ORDER = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")


def test_the_list_gives_order_splits_and_images(tmp_path: Path) -> None:
    official(tmp_path)
    faces = list(plugin.faces(tmp_path))
    assert [face.id for face in faces][:2] == ["train_00001.jpg", "train_00002.jpg"]
    assert [face.split for face in faces] == ["train"] * 7 + ["test"] * 2
    assert plugin.target_split == "test"
    assert faces[0].path == str(tmp_path / "Image" / "aligned" / "train_00001_aligned.jpg")
    official(tmp_path / "unaligned", kinds=("original",))
    path = next(plugin.faces(tmp_path / "unaligned")).path
    assert path == str(tmp_path / "unaligned" / "Image" / "original" / "train_00001.jpg")


def test_published_counts() -> None:
    expected = plugin.expected(None)
    assert expected == {
        "train": dict(zip(ORDER, (1290, 281, 717, 4772, 1982, 705, 2524), strict=True)),
        "test": dict(zip(ORDER, (329, 74, 160, 1185, 478, 162, 680), strict=True)),
    }
    assert [sum(counts.values()) for counts in expected.values()] == [12_271, 3_068]


def test_check_says_what_a_miniature_lacks(tmp_path: Path) -> None:
    official(tmp_path)
    (tmp_path / "Image" / "aligned" / "test_0001_aligned.jpg").unlink()
    findings = plugin.check(tmp_path)
    assert Finding("train", "", 12_271, 7) in findings
    assert Finding("test", "anger", 162, 1) in findings
    assert [finding for finding in findings if finding.label == ABSENT] == [Finding("test", ABSENT, 0, 1)]
    assert not any(finding.agrees for finding in findings)


@pytest.mark.parametrize(
    "line",
    [
        b"train_00008.jpg 0",
        b"train_00008.jpg 8",
        b"train_00008.jpg happy",
        b"train_00008.jpg",
        b"valid_00008.jpg 5",
        b"train_/../../x.jpg 5",
        b"train_\xff.jpg 5",
        b"train_\0.jpg 5",
    ],
)
def test_a_line_that_is_no_name_and_label_is_refused(tmp_path: Path, line: bytes) -> None:
    official(tmp_path)
    path = tmp_path / "EmoLabel" / "list_patition_label.txt"
    path.write_bytes(b"train_00001.jpg 5\r\n\n" + line + b"\n")
    with pytest.raises(
        UsageError, match=r"list_patition_label.txt, line 3: .* is not one name and one label.*1 surprise"
    ) as error:
        list(plugin.faces(tmp_path))
    assert str(path) in str(error.value)


def test_copies_that_count_from_0_or_skip_the_test_are_refused(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for number in range(7):
            write(tmp_path / "zero" / split / str(number) / "a.jpg", b"")
    with pytest.raises(UsageError, match="counts from 0 = neutral"):
        list(plugin.faces(tmp_path / "zero"))
    write(tmp_path / "trained" / "DATASET" / "train" / "1" / "a.jpg", b"")
    with pytest.raises(UsageError, match="has no folder 'test'"):
        list(plugin.faces(tmp_path / "trained"))
    for split in ("train", "test"):
        write(tmp_path / "named" / split / "happy" / "a.jpg", b"")
    with pytest.raises(UsageError, match="has the folders happy"):
        list(plugin.faces(tmp_path / "named"))


@pytest.mark.parametrize("lists_in", ["", "DATASET"])
def test_folders_and_a_list_that_disagree_are_refused(tmp_path: Path, lists_in: str) -> None:
    kaggle(tmp_path, lists_in=lists_in)
    path = tmp_path / lists_in / "test_labels.csv"
    path.write_text(path.read_text().replace("test_0001_aligned.jpg,6", "test_0001_aligned.jpg,3"))
    with pytest.raises(
        UsageError, match=r"test_0001_aligned.jpg is in folder 6, but test_labels.csv has another label"
    ):
        list(plugin.faces(tmp_path))


@pytest.mark.parametrize(
    "line", ["a_aligned.jpg,0", "a_aligned.jpg", "a_aligned.jpg,happy", "a,b,1", '"' + "x" * 200_000]
)
def test_a_broken_list_beside_folders_is_refused(tmp_path: Path, line: str) -> None:
    kaggle(tmp_path, lists_in="")
    (tmp_path / "train_labels.csv").write_text(f"image,label\n\n{line}\n")
    with pytest.raises(UsageError, match=r"labels.csv, line 3: .*(is not one new image and its label|field larger)"):
        list(plugin.faces(tmp_path))


def test_a_list_without_images_is_refused(tmp_path: Path) -> None:
    official(tmp_path, kinds=())
    with pytest.raises(UsageError, match=r"neither Image/aligned nor Image/original. Expected:"):
        list(plugin.faces(tmp_path))


@pytest.mark.parametrize("third", [" 1", " 4 1", "\t1"])
def test_a_list_with_a_third_column_is_refused(tmp_path: Path, third: str) -> None:
    official(tmp_path)
    path = tmp_path / "EmoLabel" / "list_patition_label.txt"
    path.write_text("".join(f"{line}{third}\n" for line in path.read_text().splitlines()))
    with pytest.raises(UsageError, match=r"line 1: .* is not one name and one label"):
        list(plugin.faces(tmp_path))


def test_validation_beside_train_and_test_is_read(tmp_path: Path) -> None:
    kaggle(tmp_path, top="")
    write(tmp_path / "val" / "4" / "a.jpg", b"")
    assert [(face.id, face.label) for face in plugin.faces(tmp_path) if face.split == "validation"] == [
        ("val/4/a.jpg", "happiness")
    ]


def test_a_root_too_deep_or_too_high_is_named(tmp_path: Path) -> None:
    official(tmp_path / "raf")
    for wrong in (tmp_path / "raf" / "Image" / "aligned", tmp_path):
        with pytest.raises(UsageError, match=rf"But {tmp_path}/raf does: --root {tmp_path}/raf\."):
            list(plugin.faces(wrong))
