from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fercache.datasets import FaceImage
from fercache.errors import UsageError
from fercache.extraction.listing import list_faces


def face(name: str, content: bytes = b"x", **fields: object) -> FaceImage:
    return FaceImage(id=name, read=lambda: content, **fields)  # type: ignore[arg-type]


def manifest(*faces: FaceImage) -> str:
    return list_faces("set", faces).manifest_hash


def test_everything_about_a_face_changes_the_hash() -> None:
    plain = face("a", label="fear", split="train")
    changed = [
        face("b", label="fear", split="train"),
        face("a", label="anger", split="train"),
        face("a", label="fear", split="test"),
        face("a", b"y", label="fear", split="train"),
        face("a", label="fear", split="train", subject="s"),
        face("a", label="fear", split="train", group="age=old"),
        face("a", label="fear", split="train", box=(0, 0, 1, 1)),
    ]
    hashes = {manifest(plain), *(manifest(one) for one in changed)}
    assert len(hashes) == len(changed) + 1
    assert manifest(plain) == manifest(face("a", label="fear", split="train"))


def test_order_matters_and_fingerprints_spare_reading() -> None:
    assert manifest(face("a"), face("b")) != manifest(face("b"), face("a"))

    def never() -> bytes:
        raise AssertionError("was read")

    drawn = FaceImage(id="a", read=never, fingerprint=bytes(range(32)))
    assert manifest(drawn) == manifest(drawn)


def absent(name: str) -> FaceImage:
    return FaceImage(id=name, read=partial(Path.read_bytes, Path("no-such-folder") / name))


def test_absent_files_are_not_arrays() -> None:
    array = FaceImage(id="a", read=lambda: np.zeros((2, 2, 3), np.uint8))
    assert manifest(absent("a"), face("b")) != manifest(array, face("b"))


def test_absent_files_are_reported_in_one_go(capsys: pytest.CaptureFixture[str]) -> None:
    manifest(face("there"), *(absent(f"gone-{i:02}") for i in range(12)))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "12 of 13 images cannot be read: gone-00 (No such file or directory), gone-01" in said
    assert "gone-09 (No such file or directory) and 2 more" in said
    with pytest.raises(UsageError, match=r"none of its 2 images can be read: a .*, b "):
        manifest(absent("a"), absent("b"))


@pytest.mark.parametrize("odd", [face("a\ud800"), face("a", subject="\ud800"), face("a", split="b\0"), face("a\0")])
def test_text_that_no_table_can_hold_is_refused_before_anything_is_encoded(odd: FaceImage) -> None:
    with pytest.raises(UsageError, match=r"^'a(\\ud800|\\x00)?': its id, split, subject or group"):
        list_faces("set", [odd])


def test_empty_sets_and_repeated_ids_are_refused() -> None:
    with pytest.raises(UsageError, match="no face images"):
        list_faces("set", [])
    with pytest.raises(UsageError, match="more than once: a"):
        list_faces("set", [face("a"), face("b"), face("a")])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError("a link that leaves /data"), "a link that leaves /data"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (OSError("larger than 256 MB"), "larger than 256 MB"),
    ],
)
def test_a_set_of_which_nothing_can_be_read_says_why(error: OSError, reason: str) -> None:
    def fails() -> bytes:
        raise error

    with pytest.raises(UsageError, match=rf"none of its 1 images can be read: a \({reason}\). Is the root right\?"):
        list_faces("set", [FaceImage("a", fails)])
