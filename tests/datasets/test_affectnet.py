from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fercache.datasets import ABSENT, LEFT_OUT, Finding
from fercache.datasets.affectnet import plugin
from fercache.errors import UsageError
from tests.datasets.miniatures.affectnet import lists, npy, saved
from tests.datasets.miniatures.images import write

QUIET = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ORDER = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
TRAIN = (74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750)
LIST = Path("Manually_Annotated_file_lists", "training.csv")


def test_lines_give_splits_and_boxes(tmp_path: Path) -> None:
    lists(tmp_path)
    faces = list(plugin.faces(tmp_path))
    assert [face.split for face in faces] == ["train"] * 8 + ["validation"] * 2
    assert plugin.target_split == "validation"
    boxes = {face.id: face.box for face in faces}
    assert boxes["1/happiness.JPG"] == (0, 0, 20, 24)
    assert boxes["456/anger.jpg"] == (2, 3, 12, 15)
    assert boxes["7/contempt.jpg"] == (1, 2, 16, 19)


def test_npy_annotations_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    npy(tmp_path)
    names = [f"train_set/images/{n}.jpg" for n in (0, 2, 3, 5, 10, 11, 12, 100)]
    assert [face.id for face in plugin.faces(tmp_path)] == [*names, "val_set/images/1.jpg", "val_set/images/4.jpg"]


@pytest.mark.parametrize(
    ("build", "validation", "of_seven"), [(lists, 4_000, 3_500), (npy, 3_999, 3_500)], ids=["lists", "npy"]
)
def test_published_counts(tmp_path: Path, build: object, validation: int, of_seven: int) -> None:
    build(tmp_path)  # type: ignore[operator]
    expected = plugin.expected(tmp_path)
    assert expected["train"] == dict(zip(ORDER, TRAIN, strict=True))
    assert [sum(counts.values()) for counts in expected.values()] == [287_651, validation]
    assert [sum(counts.values()) - counts["contempt"] for counts in expected.values()] == [283_901, of_seven]


def test_check_says_what_is_lacking_and_what_was_left_out(tmp_path: Path) -> None:
    lists(tmp_path)
    (tmp_path / "Manually_Annotated_Images" / "23" / "fear.jpg").unlink()
    findings = plugin.check(tmp_path)
    assert Finding("train", "", 287_651, 8) in findings
    assert Finding("train", "fear", 6_378, 1) in findings
    assert [finding for finding in findings if finding.label == ABSENT] == [Finding("train", ABSENT, 0, 1)]
    left_out = [(f.split, f.label, f.expected, f.found) for f in findings if f.label.startswith(LEFT_OUT)]
    none = "left out: 8 none, 9 uncertain, 10 no face"
    assert left_out == [
        ("train", none, None, 3),
        ("train", "left out: no face box", None, 1),
        ("validation", none, None, 1),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"1/a.jpg,2,3,10,12,-,11,0,0", "expression 11; known are 0 to 10"),
        (b"1/a.jpg,2,3,10,12,-,-1,0,0", "expression -1"),
        (b"1/a.jpg,2,3,10,12,-,happy,0,0", "not an image, a box and an expression"),
        (b"1/a.jpg,2,3,10", "4 cells, not 9"),
        (b"1/a.jpg,2,3,10,12,-,1,0,0,1", "10 cells, not 9"),
        (b"1/a.jpg,x,3,10,12,-,1,0,0", "not an image, a box and an expression"),
        (b"1/a.jpg,inf,3,10,12,-,1,0,0", "not an image, a box and an expression"),
        (b",2,3,10,12,-,1,0,0", "'' is not the name of an image below Manually_Annotated_Images"),
        (b"../a.jpg,2,3,10,12,-,1,0,0", "is not the name of an image"),
        (b"1/../../a.jpg,2,3,10,12,-,1,0,0", "is not the name of an image"),
        (b"/etc/hosts,2,3,10,12,-,1,0,0", "is not the name of an image"),
        (b"1/\xff.jpg,2,3,10,12,-,1,0,0", "is not UTF-8"),
        (b"1/\0.jpg,2,3,10,12,-,1,0,0", "is not the name of an image"),
        (b'"' + b"x" * 200_000, "field larger"),
    ],
)
def test_broken_lines_are_refused(tmp_path: Path, line: bytes, message: str) -> None:
    lists(tmp_path)
    with (tmp_path / LIST).open("ab") as stream:
        stream.write(b"\n" + line + b"\n")
    with pytest.raises(UsageError, match=message) as error:
        list(plugin.faces(tmp_path))
    assert f"{tmp_path / LIST}, line 14: " in str(error.value)


def test_missing_lists_and_images_are_refused(tmp_path: Path) -> None:
    lists(tmp_path / "a")
    (tmp_path / "a" / LIST.with_name("validation.csv")).unlink()
    with pytest.raises(UsageError, match=r"validation.csv is missing"):
        list(plugin.faces(tmp_path / "a"))
    write(tmp_path / "b" / LIST, b"")
    with pytest.raises(UsageError, match=r"but no Manually_Annotated_Images. Expected:"):
        list(plugin.faces(tmp_path / "b"))
    (tmp_path / "c" / "train_set" / "annotations").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"nor val_set/annotations. Expected:"):
        list(plugin.faces(tmp_path / "c"))


DAMAGED = {
    "an object": saved(np.array(3, dtype=object)),
    "nothing": b"",
    "no npy": b"3\n",
    "a zip": b"PK\3\4" + bytes(30),
    "too many": saved([1, 2]),
    "infinite": saved(float("inf")),
    "a word": saved("happy"),
    "cut off": saved(3)[:-4],
}


def test_an_annotation_of_8_gb_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npy(tmp_path)
    path = tmp_path / "train_set" / "annotations" / "3_exp.npy"
    with path.open("wb") as sparse:
        sparse.truncate(8 * 2**30)
    monkeypatch.setattr(np, "load", lambda path, **_: pytest.fail("read") if path.name[0] == "3" else np.array(1))
    with pytest.raises(UsageError, match=r"3_exp\.npy holds no number: it is not a file of at most 4096 bytes"):
        list(plugin.faces(tmp_path))


@pytest.mark.parametrize("damage", DAMAGED)
def test_annotations_that_are_no_number_are_refused_and_never_unpickled(tmp_path: Path, damage: str) -> None:
    npy(tmp_path)
    path = write(tmp_path / "train_set" / "annotations" / "3_exp.npy", DAMAGED[damage])
    with pytest.raises(UsageError, match="holds no number") as error:
        list(plugin.faces(tmp_path))
    assert str(path) in str(error.value)


def test_annotations_out_of_range_are_refused(tmp_path: Path) -> None:
    npy(tmp_path)
    write(tmp_path / "val_set" / "annotations" / "9_exp.npy", saved("11"))
    with pytest.raises(UsageError, match=r"9_exp.npy: expression 11; known are 0 to 10"):
        list(plugin.faces(tmp_path))


@QUIET
@given(data=st.binary(max_size=200), kept=st.integers(0, 140))
def test_any_annotation_is_read_or_refused(tmp_path: Path, data: bytes, kept: int) -> None:
    (tmp_path / "val_set" / "annotations").mkdir(parents=True, exist_ok=True)
    path = write(tmp_path / "train_set" / "annotations" / "1_exp.npy", saved(3)[:kept] + data)
    try:
        list(plugin.faces(tmp_path))
    except UsageError as error:
        assert str(path) in str(error)
