"""The contract of detectors, checked on small scenes of drawn faces."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fercache.detectors import Detector
from fercache.errors import UsageError
from fercache.images.alignment import FoundFace
from fercache.synthetic_faces import draw, sample_face

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]
Check = Callable[[Detector], Iterator[str]]

SEED = 11
SIDE = 128
"""Of a drawn face, in pixels."""
CORNERS = ((36, 20), (300, 90))
"""Of two faces in a scene of 480 x 240 pixels: left and top."""
ODD = ((1, 1), (1, 300), (300, 1), (11, 13), (40, 25))
"""Sizes that no photograph has, but a list of files may."""
LEAST_OVERLAP = 0.3
THREADS = 4


def check_detector(detector: Detector) -> list[str]:
    """One sentence per broken promise of the detector; [] if it keeps all of them.

    Its faces are checked only if it can be given any image.
    """
    about_images = [broken for check in (_about_identity, _about_odd_images) for broken in check(detector)]
    if about_images:
        return about_images
    checks: tuple[Check, ...] = (_about_faces, _about_places, _about_its_image, _about_threads, _about_its_file)
    return [broken for check in checks for broken in check(detector)]


def scene(faces: int = 2, number: int = 0) -> Pixels:
    """(240, 480, 3): a grey wall with at most two drawn faces, at CORNERS."""
    rows, columns = np.mgrid[:240, :480]
    pixels = np.repeat((120 + rows // 8 + columns // 16)[..., None], 3, axis=2).astype(np.uint8)
    for place, (left, top) in enumerate(CORNERS[:faces]):
        face = sample_face(SEED, 2 * number + place, "studio", expression="neutral")
        pixels[top : top + SIDE, left : left + SIDE] = draw(face, SIDE)
    return pixels


def _about_identity(detector: Detector) -> Iterator[str]:
    identity = dict(detector.identity())
    if json.loads(json.dumps(identity)) != identity:
        yield "has an identity that is not JSON"
    if not identity.get("name"):
        yield "has an identity without its name"
    if identity != dict(detector.identity()):
        yield "has another identity when asked again"


def _about_odd_images(detector: Detector) -> Iterator[str]:
    """A detector gets whatever was decoded."""
    for height, width in ODD:
        try:
            found = detector.find(np.full((height, width, 3), 90, np.uint8))
        except Exception as error:
            yield f"fails for an image of {width} x {height}: {type(error).__name__}: {error}"
            return
        if not isinstance(found, list) or not all(isinstance(face, FoundFace) for face in found):
            yield f"returns {type(found).__name__}, expected a list of FoundFace"
            return


def _about_faces(detector: Detector) -> Iterator[str]:
    """Every face is complete, and in the units of the contract."""
    found = detector.find(scene())
    for face in found:
        numbers = [*face.box, face.score, *(value for point in face.landmarks for value in point)]
        if not all(type(value) is float and np.isfinite(value) for value in numbers):
            yield f"returns values that are not finite numbers of Python: {face}"
            return
        if not 0 <= face.score <= 1:
            yield f"has a score of {face.score}, expected 0 to 1"
        if face.box[0] >= face.box[2] or face.box[1] >= face.box[3]:
            yield f"has the box {face.box}, expected left, top, right, bottom"
        yield from _about_landmarks(face)
    if any(first.score < second.score for first, second in pairwise(found)):
        yield "does not return the highest score first"


def _about_landmarks(face: FoundFace) -> Iterator[str]:
    if not face.landmarks:
        return
    if len(face.landmarks) != 5:
        yield f"returns {len(face.landmarks)} landmarks, expected five or none"
        return
    eyes, nose, mouth = face.landmarks[:2], face.landmarks[2], face.landmarks[3:]
    if not (eyes[0][0] < eyes[1][0] and mouth[0][0] < mouth[1][0]):
        yield "returns landmarks that are not in the order from left to right"
    if not max(y for _, y in eyes) < nose[1] < min(y for _, y in mouth):
        yield "returns landmarks that are not in the order eyes, nose, mouth"


def _about_places(detector: Detector) -> Iterator[str]:
    """Boxes are in pixels of the image, around the faces."""
    found = detector.find(scene())
    for left, top in CORNERS:
        true = (left, top, left + SIDE, top + SIDE)
        if not any(_overlap(face.box, true) >= LEAST_OVERLAP for face in found):
            yield f"does not find the drawn face at {true}, but {[_rounded(face.box) for face in found]}"
    if len(found) > len(CORNERS):
        yield f"finds {len(found)} faces where {len(CORNERS)} are"
    if alone := detector.find(scene(faces=0)):
        yield f"finds {len(alone)} faces on a bare wall"


def _about_its_image(detector: Detector) -> Iterator[str]:
    """The image may be read-only and part of a larger one, and is used afterwards."""
    pixels, before = scene(), scene()
    expected = detector.find(pixels)
    if not np.array_equal(pixels, before):
        yield "changes the image that it is given"
    part = np.zeros((300, 600, 3), np.uint8)[30:270, 60:540]
    part[:] = before
    part.flags.writeable = False
    try:
        same = detector.find(part)
    except Exception as error:
        yield f"fails for a read-only part of an image: {type(error).__name__}: {error}"
        return
    if same != expected:
        yield "finds other faces in the same image when it is called again"


def _about_threads(detector: Detector) -> Iterator[str]:
    images = [scene(faces=1 + number % 2, number=number)[: 240 - 20 * number] for number in range(THREADS)]
    expected = [detector.find(image) for image in images]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(_faces_or_none, [(detector, image) for image in images * 2]))
    if found != expected * 2:
        yield "finds other faces when several threads use it"


def _faces_or_none(given: tuple[Detector, Pixels]) -> list[FoundFace] | None:
    try:
        return given[0].find(given[1])
    except Exception:
        return None


def _about_its_file(detector: Detector) -> Iterator[str]:
    if not detector.takes_file:
        return
    try:
        type(detector)("no-such-file.onnx")
        yield "accepts a file that does not exist"
    except UsageError:
        pass


def _overlap(one: Box, other: Box) -> float:
    """The area of both boxes over the area of either."""
    sides = [min(one[i + 2], other[i + 2]) - max(one[i], other[i]) for i in (0, 1)]
    both = max(sides[0], 0.0) * max(sides[1], 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return both / (sum(areas) - both) if sum(areas) > both else 0.0


def _rounded(box: Sequence[float]) -> tuple[int, ...]:
    return tuple(round(edge) for edge in box)
