import csv
import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fercache.datasets import ABSENT
from fercache.datasets.manifest import plugin
from fercache.errors import UsageError
from fercache.images.decode import decode
from tests.datasets.miniatures.images import encoded, pixels, write
from tests.datasets.miniatures.own_images import manifest

QUIET = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def manifest_of(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    write(folder / "a.png", encoded(pixels(1)))
    return write(folder / "faces.csv", text.encode(encoding))


def test_columns_become_fields_and_group(tmp_path: Path) -> None:
    path = manifest_of(
        tmp_path, "Path, Label ,split,subject,box,light,camera\na.png,Joy,Val,ann,1 2 8 9,day;bright,2\n"
    )
    (face,) = plugin.faces(path)
    assert (face.id, face.label, face.split, face.subject) == ("a.png#1,2,8,9", "happiness", "validation", "ann")
    assert face.group == "light=day,bright;camera=2"
    assert np.array_equal(decode(face.read(), face.box), pixels(1)[2:9, 1:8])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_spreadsheets_write_is_read(tmp_path: Path, encoding: str, separator: str, end: str) -> None:
    lines = (("path", "label", "subject"), ("a.png", "sad", "Zoë"), ("b.png", "", ""), ("", "", ""))
    faces = list(
        plugin.faces(manifest_of(tmp_path, "".join(separator.join(line) + end for line in lines[:3]), encoding))
    )
    assert [(face.id, face.label, face.subject) for face in faces] == [("a.png", "sadness", "Zoë"), ("b.png", None, "")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column path and no column label.*the first line has nothing"),
        ("where,what\na.png,sad\n", "no column path and no column label. Needed: path .*label.*has where, what"),
        ("path,split\na.png,test\n", "no column label"),
        ("path,label,Label\na.png,sad,sad\n", "more than one column is named label"),
        ("path,label\n", "lists no images"),
        ("path,label\n\na.png,bored\n", "line 3: 'bored' is not an expression"),
        ("path,label\na.png\n", "line 2: 1 cells, but the header has 2"),
        ("path,label\na.png,sad\n./a.png,happy\n", "lines 2 and 3 both list a.png"),
        ("path,label\n,sad\n", "line 2: the path is empty"),
        ("path,label\na\0.png,sad\n", "line 2: the column 'path' contains a NUL"),
        ("path,label,subject\na.png,sad,a\0b\n", "line 2: the column 'subject' contains a NUL"),
        ("path,label,a\0b\na.png,sad,1\n", r"line 2: the column 'a\\x00b' contains a NUL"),
        ("path,label\n../a.png,sad\n", r"line 2: '../a.png' is outside of"),
        ("path,label\nx/../../a.png,sad\n", "outside of"),
        ("path,label\n..\\a.png,sad\n", "outside of"),
        ("path,label\n/etc/hosts,sad\n", "outside of"),
        ("path,label\n.,sad\n", "outside of"),
        ("path,label\nabsent.png,sad\n", "none of its 1 images exists"),
        ("path,label,box\na.png,sad,1 2 3\n", "line 2: '1 2 3' is not a box"),
        ("path,label,box\na.png,sad,1 2 3.5 4\n", "is not a box"),
        ("path,label,box\na.png,sad,5 2 5 4\n", "the box '5 2 5 4' is empty"),
        ("path,label,box\na.png,sad,-9 -9 0 4\n", "is empty"),
    ],
)
def test_mistakes_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        list(plugin.faces(manifest_of(tmp_path, text)))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_are_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(UsageError, match="is not UTF-8"):
        list(plugin.faces(manifest_of(tmp_path, "path,label,subject\na.png,sad,Zoë\n", encoding)))


def test_one_image_may_have_several_boxes(tmp_path: Path) -> None:
    path = manifest_of(tmp_path, "path,label,box\na.png,sad,0 0 4 4\na.png,happy,4 4 8 8\n")
    assert [face.id for face in plugin.faces(path)] == ["a.png#0,0,4,4", "a.png#4,4,8,8"]


def test_absolute_paths_inside_the_folder_and_windows_slashes_are_taken(tmp_path: Path) -> None:
    write(tmp_path / "sub" / "b.png", encoded(pixels(2)))
    path = manifest_of(tmp_path, f"path,label\n{tmp_path / 'a.png'},sad\nsub\\b.png,sad\n")
    faces = list(plugin.faces(path))
    assert [face.id for face in faces] == ["a.png", "sub/b.png"]
    assert np.array_equal(decode(faces[1].read()), pixels(2))


def test_a_missing_image_is_listed_and_cannot_be_read(tmp_path: Path) -> None:
    _, missing = plugin.faces(manifest_of(tmp_path, "path,label\na.png,sad\nb.png,sad\n"))
    with pytest.raises(FileNotFoundError):
        missing.read()


def test_a_name_that_no_system_takes_is_not_there(tmp_path: Path) -> None:
    path = manifest_of(tmp_path, f"path,label\n{'x' * 300}.png,sad\na.png,sad\n")
    assert len(list(plugin.faces(path))) == 2
    assert [f.found for f in plugin.check(path) if f.label == ABSENT] == [1]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    secret = write(tmp_path / "elsewhere" / "b.png", encoded(pixels(2)))
    path = manifest_of(tmp_path / "mine", "path,label\na.png,sad\nb.png,sad\n")
    (tmp_path / "mine" / "b.png").symlink_to(secret)
    _, linked = plugin.faces(path)
    with pytest.raises(PermissionError, match="leaves"):
        linked.read()


def test_lines_are_streamed(tmp_path: Path) -> None:
    faces = plugin.faces(manifest_of(tmp_path, "path,label\na.png,sad\nb.png,bored\n"))
    assert next(faces).id == "a.png"
    with pytest.raises(UsageError, match="line 3"):
        next(faces)


def test_check_counts_splits_and_classes(tmp_path: Path) -> None:
    findings = plugin.check(manifest(tmp_path).root)
    assert [(f.split, f.label, f.found) for f in findings] == [
        ("train", "", 1),
        ("train", "happiness", 1),
        ("validation", "", 1),
        ("validation", "surprise", 1),
        ("test", "", 7),
        *(("test", name, 1) for name in ("fear", "disgust", "sadness", "anger", "neutral", "contempt")),
    ]


@QUIET
@given(data=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path / "faces.csv", b"path,label,subject\n" + data)
    try:
        list(plugin.faces(path))
    except UsageError as error:
        assert str(path) in str(error)


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n/\\"), max_size=8)


@QUIET
@given(cells=st.lists(st.tuples(CELL, st.sampled_from(["sad", "Happy", ""]), CELL), max_size=6))
def test_what_is_written_is_what_is_read(tmp_path: Path, cells: list[tuple[str, str, str]]) -> None:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerows([("path", "label", "note"), ("a.png", "sad", "")])
    rows.writerows((f"{number}-{name}.png", label, note) for number, (name, label, note) in enumerate(cells))
    _, *faces = plugin.faces(manifest_of(tmp_path, text.getvalue()))
    assert [face.id for face in faces] == [f"{number}-{name}.png" for number, (name, _, _) in enumerate(cells)]
    assert [face.group for face in faces] == ["note=" + note.strip().replace(";", ",") for _, _, note in cells]


def test_other_labels_are_read_through_the_file_of_labels(tmp_path: Path) -> None:
    path = manifest_of(tmp_path, "path,label\na.png,6\nb.png,0\nc.png,9\n")
    (tmp_path / "faces.labels.csv").write_text("label,expression\n6,Angry\n0,neutral\n9,\n")
    assert [face.label for face in plugin.faces(path)] == ["anger", "neutral", None]
    (tmp_path / "faces.labels.csv").write_text("label,expression\n6,Angry\n")
    with pytest.raises(UsageError, match="line 3: the label '0' is not in the file of labels"):
        list(plugin.faces(path))
    (tmp_path / "faces.labels.csv").write_text("label,expression\n6,bored\n")
    with pytest.raises(UsageError, match=r"faces.labels.csv, line 2: 'bored' is not an expression"):
        list(plugin.faces(path))
    (tmp_path / "faces.labels.csv").write_text("label,name\n6,angry\n")
    with pytest.raises(UsageError, match=r"faces.labels.csv: no column expression"):
        list(plugin.faces(path))


def test_splits_of_fer2013_by_their_own_names(tmp_path: Path) -> None:
    text = "image,emotion,Usage\n" + "".join(
        f"{n}.png,sad,{u}\n" for n, u in enumerate(("Training", "PublicTest", "PrivateTest"))
    )
    write(tmp_path / "0.png", encoded(pixels(1)))
    assert [(f.split, f.group) for f in plugin.faces(manifest_of(tmp_path, text))] == [
        ("train", ""),
        ("publictest", ""),
        ("privatetest", ""),
    ]


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "N/A", "<NA>", "null"])
def test_cells_that_are_not_given(tmp_path: Path, cell: str) -> None:
    (face,) = plugin.faces(manifest_of(tmp_path, f"path,label,split,subject,box\na.png,{cell},{cell},{cell},{cell}\n"))
    assert (face.label, face.split, face.subject, face.box) == (None, "", "", None)
    with pytest.raises(UsageError, match="line 2: the path is empty"):
        list(plugin.faces(manifest_of(tmp_path, f"path,label\n{cell},sad\n")))


@pytest.mark.parametrize("box", ["1 2 8 9", "1.0 2.0 8.0 9.0", '"1,2,8,9"', "[1 2 8 9]", '"(1, 2, 8, 9)"'])
def test_boxes_as_pandas_and_numpy_write_them(tmp_path: Path, box: str) -> None:
    (face,) = plugin.faces(manifest_of(tmp_path, f"path,label,box\na.png,sad,{box}\n"))
    assert face.box == (1, 2, 8, 9)


def test_numbers_that_became_floats_beside_empty_cells(tmp_path: Path) -> None:
    path = manifest_of(tmp_path, "path,label\na.png,3.0\nb.png,\n")
    write(tmp_path / "faces.labels.csv", b"label,expression\n3,happy\n")
    assert [face.label for face in plugin.faces(path)] == ["happiness", None]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_file_address_is_the_path_that_it_is(tmp_path: Path) -> None:
    secret = write(tmp_path / "elsewhere" / "b.png", encoded(pixels(2)))
    path = manifest_of(tmp_path / "mine", "path,label\na.png,sad\nb.png,sad\n")
    (tmp_path / "mine" / "b.png").symlink_to(secret)
    here, linked = plugin.faces(Path(f"file://{path}"))
    assert here.path == str(tmp_path / "mine" / "a.png")
    with pytest.raises(PermissionError, match="leaves"):
        linked.read()
