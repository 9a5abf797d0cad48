"""Packed faces are the same faces."""

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.datasets import FaceImage
from fercache.extraction import packed_faces
from fercache.extraction.listing import list_faces
from fercache.extraction.packed_faces import PackedFaces, remembered
from fercache.images.corruptions import corruptions

BLOCK = 4


@pytest.fixture(autouse=True, scope="module")
def small() -> None:
    """Blocks of a few faces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_faces, "BLOCK", BLOCK)
        patch.setattr(packed_faces, "KEPT", 10)
        yield


def content(number: int) -> bytes:
    return f"image {number}".encode()


def face(number: int) -> FaceImage:
    return FaceImage(
        f"{number}.png",
        partial(content, number),
        ("train", "test")[number % 2],
        label=(None, "fear")[number % 2],
        votes=(number, -1),
        box=(0, 0, 1, number + 1),
        fingerprint=None if number % 3 else bytes(32),
        corruption=corruptions("blur:3")[0],
    )


def values(face: FaceImage) -> tuple[object, ...]:
    return tuple(getattr(face, name) for name in FaceImage.__dataclass_fields__ if name != "read")


@given(count=st.integers(0, 40), begin=st.integers(-3, 45), end=st.integers(-3, 45))
@settings(deadline=None)
def test_packed_faces_are_a_sequence_of_the_same_faces(count: int, begin: int, end: int) -> None:
    plain, packed = [face(number) for number in range(count)], PackedFaces(map(face, range(count)))
    assert len(packed) == count
    assert list(map(values, packed)) == list(map(values, plain))
    assert list(map(values, packed[begin:end])) == list(map(values, plain[begin:end]))
    assert [values(packed[row]) for row in range(-count, count)] == list(map(values, plain * 2))
    assert [one.read() for one in packed] == [one.read() for one in plain]
    with pytest.raises(IndexError):
        packed[count]


def test_many_faces_are_packed_and_few_are_not() -> None:
    assert isinstance(remembered(map(face, range(11))), PackedFaces)
    assert isinstance(remembered(map(face, range(10))), tuple)
    assert list(map(values, remembered(map(face, range(25))))) == [values(face(number)) for number in range(25)]


def test_faces_that_cannot_be_pickled_or_share_a_large_object_are_kept_as_they_are() -> None:
    odd = [FaceImage(str(number), lambda number=number: content(number)) for number in range(9)]
    large = [FaceImage(str(number), partial(bytes.join, bytes(packed_faces.LARGEST * BLOCK))) for number in range(9)]
    for faces in (odd, large):
        packed = PackedFaces(faces)
        assert all(one is other for one, other in zip(packed, faces, strict=True))
        assert packed[5] is faces[5]


def test_the_hash_of_a_listing_does_not_depend_on_packing(tmp_path: Path) -> None:
    plain = list_faces("set", [face(number) for number in range(30)])
    packed = list_faces("set", remembered(map(face, range(30))))
    assert isinstance(packed.faces, PackedFaces)
    assert packed.manifest_hash == plain.manifest_hash
    assert (packed.fingerprints == plain.fingerprints).all()
    assert packed.splits == {"train", "test"}
