"""Which faces of a photograph become rows, under which ids, and that they are cut from the image that was searched."""

import pickle
from functools import partial
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.datasets import FaceImage
from fercache.errors import FercacheError
from fercache.extraction.known_faces import Cutting, DetectedFaces, row_of
from fercache.extraction.listing import ABSENT
from fercache.identity import content_hash
from fercache.images.alignment import Alignment, FoundFace
from fercache.images.colours import Unreadable
from fercache.policies import Which
from fercache.store.detections import KnownDetections
from tests.extraction.squares import colour, photograph

PIXELS = photograph(((10, 10, 20), (60, 20, 40)))
SHA256 = content_hash(PIXELS)
SMALL, LARGE = FoundFace((10, 10, 30, 30), 0.9), FoundFace((60, 20, 100, 60), 0.8)
coordinates = st.floats(-1e5, 1e5)
points = st.tuples(coordinates, coordinates)
found_faces = st.builds(
    FoundFace,
    st.tuples(coordinates, coordinates, coordinates, coordinates),
    st.floats(0, 1),
    st.just(()) | st.tuples(points, points, points, points, points),
)


def image(pixels: np.ndarray = PIXELS) -> np.ndarray:
    return pixels


def a_photograph(**more: object) -> FaceImage:
    return FaceImage("a.png", partial(image), "train", "anger", subject="p1", **more)  # type: ignore[arg-type]


def faces(which: Which, found: list[FoundFace] | str, sha256: bytes = SHA256, **more: object) -> list[FaceImage]:
    return list(Cutting(which, Alignment()).faces(a_photograph(**more), sha256, found))


@pytest.mark.parametrize(
    ("which", "ids"), [("largest", ["a.png#0"]), ("all", ["a.png#0", "a.png#1"]), ("single", ["a.png"])]
)
def test_the_largest_is_the_first(which: Which, ids: list[str]) -> None:
    found = faces(which, [SMALL, LARGE])
    assert [face.id for face in found] == ids
    assert {(face.split, face.label, face.subject) for face in found} == {("train", "anger", "p1")}
    if which != "single":
        pixels = found[0].pixels(found[0].read())
        assert pixels.shape == (40, 40, 3) and pixels.flags.writeable
        assert (pixels[5:-5, 5:-5] == colour(50)).all()


@pytest.mark.parametrize("which", get_args(Which))
def test_a_single_face_satisfies_every_policy(which: Which) -> None:
    assert [face.found for face in faces(which, [SMALL])] == [SMALL]


@settings(max_examples=40, deadline=None)
@given(found=st.lists(found_faces, min_size=1, max_size=4), which=st.sampled_from(get_args(Which)))
def test_ids_are_unique_and_a_face_has_the_same_under_every_policy(found: list[FoundFace], which: Which) -> None:
    everyone = {face.id: face.found for face in faces("all", found)}
    assert len(everyone) == len(found)
    chosen = faces(which, found[::-1])
    assert all(everyone[face.id] == face.found for face in chosen if face.found is not None)


@pytest.mark.parametrize(
    ("which", "found", "reason"),
    [
        ("largest", [], "no face found"),
        ("single", [SMALL, LARGE], "2 faces instead of a single one"),
        ("all", "text, not an image", "text, not an image"),
    ],
)
def test_a_photograph_without_a_face_cannot_be_read_and_says_why(
    which: Which, found: list[FoundFace] | str, reason: str
) -> None:
    (face,) = faces(which, found)
    assert face.id == "a.png" and face.found is None
    with pytest.raises(Unreadable, match=f"^{reason}$"):
        face.read()


def test_the_box_of_a_list_goes_before_what_was_found() -> None:
    (face,) = faces("all", [SMALL, LARGE], box=(60, 20, 100, 40))
    assert face.id == "a.png" and face.box is None
    assert face.found == FoundFace((60, 20, 100, 40))
    assert face.pixels(face.read()).shape == (40, 40, 3)  # made square
    (outside,) = faces("all", [], box=(500, 500, 600, 600))
    with pytest.raises(Unreadable, match="holds no pixel"):
        outside.pixels(outside.read())


def test_another_image_in_its_place_is_an_error() -> None:
    (face,) = faces("all", [SMALL], sha256=content_hash(b"another"))
    with pytest.raises(FercacheError, match=r"a\.png changed.*same command again"):
        face.read()


def test_an_image_that_is_gone_is_absent_or_an_error() -> None:
    def gone() -> bytes:
        raise FileNotFoundError("no such file")

    listed = FaceImage("a.png", gone)
    (absent,) = Cutting("all", Alignment()).faces(listed, ABSENT, "")
    with pytest.raises(FileNotFoundError):
        absent.read()
    assert absent.fingerprint is None  # so that it is listed with the other absent ones
    (lost,) = Cutting("all", Alignment()).faces(listed, SHA256, [SMALL])
    with pytest.raises(FercacheError, match=r"a\.png could be read"):
        lost.read()


@settings(max_examples=40, deadline=None)
@given(face=found_faces)
def test_what_is_stored_is_the_face_to_a_hundredth_of_a_pixel(
    face: FoundFace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    known = KnownDetections(tmp_path_factory.getbasetemp() / "none", {"name": "squares"})
    known._found[SHA256] = row_of(face)[None]
    (again,) = DetectedFaces(known).get("a.png", SHA256) or ()
    np.testing.assert_allclose(again.box, face.box, atol=0.0051)
    assert again.score == pytest.approx(face.score, abs=1e-4)
    assert len(again.landmarks) == len(face.landmarks)
    np.testing.assert_allclose(again.landmarks, face.landmarks, atol=0.0051)


def test_faces_travel_to_other_processes() -> None:
    (face,) = faces("largest", [SMALL])
    again = pickle.loads(pickle.dumps(face))
    np.testing.assert_array_equal(again.pixels(again.read()), face.pixels(face.read()))
