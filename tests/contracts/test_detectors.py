"""Every registered detector keeps the contract, and detectors that do not are caught."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fercache import registry
from fercache.contracts import check_detector
from fercache.contracts.detectors import CORNERS, SIDE, scene
from fercache.detectors import Detector, load_detector
from fercache.detectors.mtcnn import MTCNN
from fercache.errors import UsageError
from fercache.images.alignment import FoundFace

FILES = {"yunet": "yunet_n_640.onnx"}
"""The file in the folder of real data that a detector reads its network from. A new detector may need an entry here."""


@pytest.mark.parametrize("name", registry.own_names("detectors"))
def test_every_detector_keeps_the_contract(name: str, real_data: Path) -> None:
    file = FILES.get(name)
    if file and not (real_data / file).is_file():
        pytest.skip(f"{real_data / file} is not there; FERCACHE_TEST_DATA names the folder that holds it")
    assert check_detector(load_detector(f"{name}:{real_data / file}" if file else name)) == []


class Known(Detector):
    """Knows where the faces of the contract's scenes are, by their pixels; others inherit and spoil it."""

    def identity(self) -> Mapping[str, Any]:
        return {"name": "known"}

    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        wall = scene(faces=0)
        there = [
            (left, top)
            for left, top in CORNERS
            if image.shape[:2] >= (top + SIDE, left + SIDE)
            and not np.array_equal(
                image[top : top + SIDE, left : left + SIDE], wall[top : top + SIDE, left : left + SIDE]
            )
        ]
        return [self.face(float(left), float(top), score=0.9 - 0.1 * place) for place, (left, top) in enumerate(there)]

    def face(self, left: float, top: float, score: float) -> FoundFace:
        shares = ((0.35, 0.45), (0.65, 0.45), (0.5, 0.6), (0.4, 0.8), (0.6, 0.8))
        landmarks = tuple((left + x * SIDE, top + y * SIDE) for x, y in shares)
        return FoundFace((left, top, left + SIDE, top + SIDE), score, landmarks)


class ForgetsItsName(Known):
    def identity(self) -> Mapping[str, Any]:
        return {"threshold": 0.5}


class IsNotJson(Known):
    def identity(self) -> Mapping[str, Any]:
        return {"name": "known", "thresholds": (0.5, 0.6)}


class NeedsRoom(Known):
    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        if min(image.shape[:2]) < 12:
            raise ValueError("too small")
        return super().find(image)


class ReturnsBoxes(Known):
    def find(self, image: NDArray[np.uint8]) -> Any:
        return np.zeros((0, 4))


class NumpyNumbers(Known):
    def face(self, left: float, top: float, score: float) -> FoundFace:
        return replace(super().face(left, top, score), score=np.float32(score))  # type: ignore[arg-type]


class Percents(Known):
    def face(self, left: float, top: float, score: float) -> FoundFace:
        return super().face(left, top, 100 * score)


class WidthAndHeight(Known):
    def face(self, left: float, top: float, score: float) -> FoundFace:
        return replace(super().face(left, top, score), box=(left, top, float(SIDE), float(SIDE)))


class Shares(Known):
    def face(self, left: float, top: float, score: float) -> FoundFace:
        found = super().face(left, top, score)
        return replace(found, box=(left / 480, top / 240, (left + SIDE) / 480, (top + SIDE) / 240))


class FromRightToLeft(Known):
    def face(self, left: float, top: float, score: float) -> FoundFace:
        found = super().face(left, top, score)
        return replace(found, landmarks=tuple(found.landmarks[place] for place in (1, 0, 2, 4, 3)))


class NoseFirst(Known):
    def face(self, left: float, top: float, score: float) -> FoundFace:
        found = super().face(left, top, score)
        return replace(found, landmarks=tuple(found.landmarks[place] for place in (3, 4, 2, 0, 1)))


class ManyLandmarks(Known):
    def face(self, left: float, top: float, score: float) -> FoundFace:
        found = super().face(left, top, score)
        return replace(found, landmarks=found.landmarks * 2)


class WorstFirst(Known):
    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        return super().find(image)[::-1]


class SeesOne(Known):
    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        return super().find(image)[:1]


class SeesThingsTwice(Known):
    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        return [face for face in super().find(image) for _ in range(2)]


class SeesFacesEverywhere(Known):
    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        return [*super().find(image), self.face(0.0, 100.0, score=0.1)]


class PaintsOver(Known):
    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        found = super().find(image)
        image[:2] = 0
        return found


class Remembers(Known):
    calls = 0

    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        self.calls += 1
        return [replace(face, score=face.score / self.calls) for face in super().find(image)]


class NeedsContiguous(Known):
    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        if not image.flags.c_contiguous:
            raise ValueError("not contiguous")
        return super().find(image)


class OneAtATime(Known):
    busy = False

    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        if self.busy:
            raise RuntimeError("busy")
        self.busy = True
        try:
            torch.randn(300, 300).mm(torch.randn(300, 300))  # lets other threads run
            return super().find(image)
        finally:
            self.busy = False


class TakesAnyFile(Known):
    takes_file = True


def test_a_detector_that_knows_the_truth_keeps_the_contract() -> None:
    assert check_detector(Known()) == []


@pytest.mark.parametrize(
    ("bad", "promise"),
    [
        (ForgetsItsName, "has an identity without its name"),
        (IsNotJson, "has an identity that is not JSON"),
        (NeedsRoom, "fails for an image of 1 x 1: ValueError: too small"),
        (ReturnsBoxes, "returns ndarray, expected a list of FoundFace"),
        (NumpyNumbers, "returns values that are not finite numbers of Python"),
        (Percents, "has a score of 90.0, expected 0 to 1"),
        (WidthAndHeight, "has the box (300.0, 90.0, 128.0, 128.0), expected left, top, right, bottom"),
        (Shares, "does not find the drawn face at (36, 20, 164, 148)"),
        (FromRightToLeft, "returns landmarks that are not in the order from left to right"),
        (NoseFirst, "returns landmarks that are not in the order eyes, nose, mouth"),
        (ManyLandmarks, "returns 10 landmarks, expected five or none"),
        (WorstFirst, "does not return the highest score first"),
        (SeesOne, "does not find the drawn face at (300, 90, 428, 218)"),
        (SeesThingsTwice, "finds 4 faces where 2 are"),
        (SeesFacesEverywhere, "finds 1 faces on a bare wall"),
        (PaintsOver, "changes the image that it is given"),
        (Remembers, "finds other faces in the same image when it is called again"),
        (NeedsContiguous, "fails for a read-only part of an image: ValueError: not contiguous"),
        (OneAtATime, "finds other faces when several threads use it"),
        (TakesAnyFile, "accepts a file that does not exist"),
    ],
)
def test_a_broken_promise_is_caught(bad: type[Detector], promise: str) -> None:
    assert any(text.startswith(promise) for text in check_detector(bad()))


def test_the_default_is_installed_and_takes_no_file() -> None:
    assert isinstance(load_detector(), MTCNN)
    with pytest.raises(UsageError, match=r"takes no file: write mtcnn, not mtcnn:x\.onnx"):
        load_detector("mtcnn:x.onnx")


def test_what_is_not_installed_is_refused_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MTCNN, "modules", ("no_such_module",))
    with pytest.raises(UsageError, match=r"mtcnn is not installed: pip install 'fercache\[faces\]'"):
        load_detector("auto")
