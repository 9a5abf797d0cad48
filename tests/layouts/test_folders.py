from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.errors import UsageError
from fercache.layouts.folders import (
    files_below,
    first_folder,
    id_below,
    images_by_class,
    is_litter,
    read_inside,
    subfolders,
    visible,
)
from tests.datasets.miniatures.images import write

HAPPY_OR_SAD = {"happy": "happiness", "joy": "happiness", "sad": "sadness"}


def test_hidden_files_and_what_systems_leave_behind_are_not_there(tmp_path: Path) -> None:
    for name in ("b.png", "A.png", ".DS_Store", "._b.png", "Thumbs.db", "desktop.ini", "__MACOSX/a", "c/d"):
        write(tmp_path / name, b"")
    assert [path.name for path in visible(tmp_path, tmp_path)] == ["A.png", "b.png", "c"]
    assert subfolders(tmp_path, tmp_path) == [tmp_path / "c"]


def test_every_file_of_a_class_is_listed_by_class_and_name(tmp_path: Path) -> None:
    for name in ("sad/2.png", "sad/10.txt", "Joy/1", "happy/0.PNG", "notes.txt"):
        write(tmp_path / name, b"")
    assert list(images_by_class(tmp_path, tmp_path, HAPPY_OR_SAD)) == [
        (tmp_path / "Joy" / "1", "happiness"),
        (tmp_path / "happy" / "0.PNG", "happiness"),
        (tmp_path / "sad" / "10.txt", "sadness"),
        (tmp_path / "sad" / "2.png", "sadness"),
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("0/a", "1/a", "10/a"), "the numbers 0, 1, 10.*Take a copy with named folders"),
        (("happy/a", "1/a"), "the numbers 1"),
        (
            ("happy/a", "1/a", "bored/a"),
            "not expressions: 1, bored. Known folders are happiness: happy, joy; sad",
        ),
        (("happy/a", "b.jpeg", "a.gif"), "2 images outside the class folders, such as a.gif"),
        (("happy/more/a",), "more is a folder in a class folder"),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    for name in names:
        write(tmp_path / name, b"")
    with pytest.raises(UsageError, match=message):
        list(images_by_class(tmp_path, tmp_path, HAPPY_OR_SAD))


def test_a_file_outside_of_the_root_is_not_read(tmp_path: Path) -> None:
    inside, outside = write(tmp_path / "root" / "a", b"a"), write(tmp_path / "b", b"b")
    assert read_inside(inside, tmp_path / "root") == b"a"
    for path in (outside, tmp_path / "root" / ".." / "b"):
        with pytest.raises(PermissionError, match="leaves"):
            read_inside(path, tmp_path / "root")
    for path in (tmp_path / "root", tmp_path / "root" / "absent"):
        with pytest.raises(FileNotFoundError):
            read_inside(path, tmp_path / "root")


def test_ids_have_slashes_and_the_first_folder_that_is_there_is_taken(tmp_path: Path) -> None:
    assert id_below(tmp_path / "a" / "b.png", tmp_path) == "a/b.png"
    (tmp_path / "b").mkdir()
    write(tmp_path / "a", b"")
    assert first_folder(tmp_path / name for name in ("a", "b", "c")) == tmp_path / "b"
    assert first_folder(tmp_path / name for name in ("a", "c")) is None


litter = st.sampled_from(
    ["@eaDir", "#recycle", "lost+found", "$RECYCLE.BIN", "System Volume Information", ".ipynb_checkpoints", "Thumbs.db"]
)


@settings(max_examples=30, deadline=None)
@given(name=litter, case=st.sampled_from([str.lower, str.upper, str]), where=st.sampled_from(["", "happy", "sad"]))
def test_litter_is_one_rule_for_all_who_read_folders(
    tmp_path_factory: pytest.TempPathFactory, name: str, case: Callable[[str], str], where: str
) -> None:
    root = tmp_path_factory.mktemp("root")
    expected = [write(root / "happy" / "a.png", b""), write(root / "sad" / "b.jfif", b"")]
    write(root / where / case(name) / "thumbnail.png", b"")
    assert is_litter(case(name))
    assert [path for path, _ in images_by_class(root, root, HAPPY_OR_SAD)] == expected
    assert files_below(root) == expected
