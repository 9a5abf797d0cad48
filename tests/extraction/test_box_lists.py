"""Lists of boxes, as other detectors' users write them."""

from pathlib import Path

import pytest

from fercache.errors import UsageError
from fercache.extraction.box_lists import read_boxes
from fercache.images.alignment import FoundFace
from fercache.layouts.own_lists import is_list

POINTS = "1 2 3 4 5 6 7 8 9 10"


def boxes(folder: Path, text: str, name: str = "faces.csv") -> dict[str, list[FoundFace]]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return {image: list(faces) for image, faces in read_boxes(path).items()}


def test_boxes_by_image(tmp_path: Path) -> None:
    text = f"image,left,top,right,bottom,score,landmarks\na/1.jpg,1,2.5,30,40,0.9,{POINTS}\n./a/2.jpg,-3,0,5,9,,\n"
    landmarks = ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 10.0))
    assert boxes(tmp_path, text + "a\\1.jpg,5,5,6,6,nan,\n") == {
        "a/1.jpg": [FoundFace((1.0, 2.5, 30.0, 40.0), 0.9, landmarks), FoundFace((5.0, 5.0, 6.0, 6.0))],
        "a/2.jpg": [FoundFace((-3.0, 0.0, 5.0, 9.0))],
    }


def test_score_and_landmarks_may_be_left_out_and_columns_have_other_names(tmp_path: Path) -> None:
    expected = {"1.jpg": [FoundFace((1.0, 2.0, 3.0, 4.0))]}
    assert boxes(tmp_path, "left;top;right;bottom;file_name\n1;2;3;4;1.jpg\n") == expected
    line = '{"path": "1.jpg", "left": 1, "top": 2, "right": 3, "bottom": 4}\n'
    assert boxes(tmp_path, line, "faces.jsonl") == expected


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1.jpg,1,2,1,4,,", r"faces.csv, line 2: the box is empty"),
        ("1.jpg,1,2,x,4,,", r"line 2: right is 'x', not a number"),
        ("1.jpg,1,2,inf,4,,", r"right is 'inf'"),
        ("1.jpg,1,2,3,4,high,", r"score is 'high'"),
        ("1.jpg,1,2,3,4,1,1 2 3", r"the landmarks are 3 numbers. Write 10"),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        boxes(tmp_path, f"image,left,top,right,bottom,score,landmarks\n{row}\n")


def test_wrong_lists_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no such list\. Expected the columns image, left"):
        read_boxes(tmp_path / "absent.csv")
    with pytest.raises(UsageError, match="no column right and no column bottom"):
        boxes(tmp_path, "image,left,top\n1.jpg,1,2\n")


def test_a_list_is_known_by_its_suffix() -> None:
    assert is_list("faces.CSV") and is_list("/a/faces.parquet") and is_list("s3://bucket/faces.jsonl")
    assert not any(map(is_list, ("auto", "mtcnn", "yunet:net.onnx")))
