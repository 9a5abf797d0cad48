"""The default detector, on scenes with known faces."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fercache.detectors import _mtcnn_nets, load_detector, mtcnn
from fercache.detectors._mtcnn_nets import output_net, proposal_net, refinement_net
from fercache.detectors._sizes import MOST_PIXELS, shrunk
from fercache.detectors.mtcnn import MTCNN, distinct
from fercache.errors import UsageError
from tests.scenes import Look, Portrait, Truth, compose, drawn_portraits
from tests.scenes.matching import match

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def detector() -> MTCNN:
    found = load_detector("mtcnn")
    assert isinstance(found, MTCNN)
    return found


@pytest.fixture(scope="module")
def portraits() -> list[Portrait]:
    return list(islice(drawn_portraits(), 12))


@pytest.fixture(scope="module")
def upright(portraits: list[Portrait]) -> tuple[Pixels, list[Truth]]:
    return compose(portraits)


def recall(detector: MTCNN, scene: tuple[Pixels, list[Truth]]) -> float:
    """The share of faces that are found; no other box may be."""
    matched = match(detector.find(scene[0]), scene[1])
    assert not matched.false
    return sum(face is not None for face in matched.faces) / len(matched.faces)


def test_faces_of_every_size_and_style_are_found(detector: MTCNN, upright: tuple[Pixels, list[Truth]]) -> None:
    assert recall(detector, upright) >= 11 / 12


def test_landmarks_lie_on_eyes_nose_and_mouth(detector: MTCNN, upright: tuple[Pixels, list[Truth]]) -> None:
    pixels, truths = upright
    places = []
    for face, truth in zip(match(detector.find(pixels), truths).faces, truths, strict=True):
        if face is not None:
            left, top, right, bottom = truth.portrait_box
            places.append((np.array(face.landmarks) - [left, top]) / [right - left, bottom - top])
    mean = np.mean(places, axis=0)
    expected = [(0.32, 0.42), (0.68, 0.42), (0.50, 0.60), (0.37, 0.78), (0.63, 0.78)]
    np.testing.assert_allclose(mean, expected, atol=0.06)


def test_turned_faces_are_found_with_turned_landmarks(detector: MTCNN, portraits: list[Portrait]) -> None:
    pixels, truths = compose(portraits, look=Look(angle=15), sides=(160, 120))
    matched = match(detector.find(pixels), truths)
    turns = []
    for face, truth in zip(matched.faces, truths, strict=True):
        if face is not None:
            (x, y), (u, v) = face.landmarks[:2]
            turns.append(np.degrees(np.arctan2(v - y, u - x)) - truth.angle)
    assert len(turns) >= 9
    assert abs(np.median(turns)) < 5


def test_faces_in_little_light_are_found(detector: MTCNN, portraits: list[Portrait]) -> None:
    assert recall(detector, compose(portraits, look=Look(light=0.25))) >= 10 / 12


def test_a_large_image_is_searched_in_a_smaller_copy(detector: MTCNN, portraits: list[Portrait]) -> None:
    pixels, truths = compose(portraits[:6], sides=(160,))
    large = np.kron(pixels, np.ones((3, 3, 1), np.uint8))
    searched, scale = shrunk(large)
    assert searched.shape[0] * searched.shape[1] <= 1.01 * MOST_PIXELS < large.shape[0] * large.shape[1]
    np.testing.assert_allclose(scale * searched.shape[1::-1], large.shape[1::-1])
    found = detector.find(large)
    small = [
        type(face)(tuple(edge / 3 for edge in face.box), face.score, face.landmarks)  # type: ignore[arg-type]
        for face in found
    ]
    assert sum(face is not None for face in match(small, truths).faces) >= 5


def test_a_bright_image_is_searched_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    assert mtcnn._lit(pixels) is pixels
    dark = pixels // 4
    np.testing.assert_allclose(mtcnn._lit(dark).astype(float), np.minimum(dark * (255 / 63), 255), atol=1)
    assert mtcnn._lit(pixels // 64).max() <= 3 * 255 / mtcnn.DARKEST + 1


def test_boxes_that_overlap_too_much_are_dropped_for_better_ones() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [22, 2, 26, 6]], float)
    scores = np.array([0.8, 0.9, 0.7, 0.95])
    assert distinct(boxes, scores, 0.7).tolist() == [3, 1, 2]
    assert distinct(boxes, scores, 0.7, by_smaller=True).tolist() == [3, 1]
    assert distinct(boxes, scores, 0.9).tolist() == [3, 1, 0, 2]
    assert distinct(boxes[:0], scores[:0], 0.7).tolist() == []


def test_patches_are_the_pixels_of_their_boxes() -> None:
    ramp = torch.arange(64.0).expand(1, 3, 48, 64).clone()
    boxes = np.array([[8, 8, 32, 32], [-12, 0, 12, 24]], float)
    inside, beyond = mtcnn._patches(ramp, boxes, 24)
    torch.testing.assert_close(inside[0, 0], torch.arange(8.0, 32.0), atol=1e-3, rtol=0)
    assert beyond[0, 5, :11].abs().max() == 0
    torch.testing.assert_close(beyond[0, 5, 13:], torch.arange(1.0, 12.0), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("build", "side"), [(proposal_net, 12), (refinement_net, 24), (output_net, 48)])
def test_outputs_have_the_shapes_that_they_promise(build: type, side: int) -> None:
    images = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    *others, faces = build()(images)
    window = (1, 1) if side == 12 else ()
    assert faces.shape == (3, *window) and ((faces >= 0) & (faces <= 1)).all()
    assert [tuple(each.shape) for each in others] == [(3, 4, *window)] + [(3, 10)] * (side == 48)


def test_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    path = _mtcnn_nets.weight_file("rnet")
    monkeypatch.setattr(_mtcnn_nets, "weight_file", lambda name: path)
    with pytest.raises(UsageError, match=r"weights of another network.*pip install 'mtcnn>=1,<2'"):
        proposal_net()


def test_the_wheel_is_not_imported_and_a_missing_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mtcnn_nets.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"not installed: pip install 'fercache\[faces\]'"):
        MTCNN()


def test_the_identity_names_weights_and_thresholds(detector: MTCNN) -> None:
    identity = detector.identity()
    assert {len(value) for value in identity["weights"].values()} == {64}
    assert identity["least_scores"] == list(mtcnn.LEAST_SCORES) and Path(identity["name"]).name == "mtcnn"
