"""The Python door: images in, a result per face out, from a model that stays loaded."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fercache.detectors import AUTO, INSTALL, Detector, load_detector
from fercache.errors import FercacheError, UsageError
from fercache.extraction.threads import in_threads
from fercache.images.alignment import Alignment, FoundFace
from fercache.images.animations import is_animation
from fercache.images.colours import Unreadable, as_rgb
from fercache.images.decode import LARGEST_FACE_CROP, decode, looks_like_no_face
from fercache.layouts.folders import read_plain
from fercache.loading.models import ZERO_SHOT
from fercache.options.extract import EncoderRequest
from fercache.output_paths import shown
from fercache.predicting.classifiers import Classifier, Square, of_text, of_trained
from fercache.predicting.results import PredictedFace, PredictedImage, answered
from fercache.predicting.thresholds import EVERY, Threshold, check_asked, chosen_threshold
from fercache.settings import Settings, load_settings

Pixels = NDArray[np.uint8]
Given: TypeAlias = "Path | str | bytes | Pixels | Image.Image"
"""A path, the bytes of an image file, (H, W, 3) uint8 RGB pixels, or an image of Pillow's."""

NO_DETECTOR = "none"
SMALL_SQUARE = 256
"""Pixels: a square image up to this side is taken as a crop of a face, without detection."""
FILLED = 0.4
"""A larger square one is taken as a crop if its largest face has at least this share of its side, or if none is found.
"""
PER_TASK, AHEAD, WAITING = 4, 64, 64
"""Images per task of a thread, prepared ahead, and waiting for a full batch of faces: these bound memory."""

FIRST_FRAME = "is an animation, of which the first frame is taken"


@dataclass(frozen=True, slots=True)
class _Opened:
    """An image without its pixels: its result as yet without expressions, and what the classifier takes."""

    image: PredictedImage
    squares: tuple[Square, ...] = ()


class Predictor:
    """Expressions of the faces in images. It may be called from several threads at a time.

    `names` are the possible expressions; `title` is the name of the run or method, or "zero-shot".
    """

    def __init__(
        self,
        classifier: Classifier,
        detector: Detector | None = None,
        *,
        threshold: Threshold = EVERY,
        no_detector: str = "",
        settings: Settings | None = None,
    ) -> None:
        """Without a detector, every image is taken as a crop of a face; `no_detector` is the warning for no square."""
        self.classifier, self.detector, self.threshold = classifier, detector, threshold
        self.names, self.title = classifier.names, classifier.title
        self.alignment = Alignment()
        self._no_detector, self._settings = no_detector, settings or Settings()
        self._one_batch = threading.Lock()  # two batches at a time would compete for the same cores

    def __call__(self, images: Sequence[Given]) -> list[PredictedImage]:
        """A result per image, in order. An image that cannot be read says why and does not stop the others.

        Raises UsageError for anything that is no path, bytes, array or image.
        """
        return list(self.stream(images))

    def stream(self, images: Iterable[Given]) -> Iterator[PredictedImage]:
        """The same, one after another, in bounded memory whatever the number of images."""
        waiting: list[_Opened] = []
        faces = 0
        for opened in self._opened(images):
            waiting.append(opened)
            faces += len(opened.squares)
            if faces >= self.classifier.encoder.batch_size or len(waiting) == WAITING:
                yield from self._labelled(waiting)
                waiting, faces = [], 0
        yield from self._labelled(waiting)

    def find(self, image: Pixels) -> list[FoundFace]:
        """The faces in an (H, W, 3) uint8 RGB image, the largest first; [] without a detector."""
        found = self.detector.find(image) if self.detector else []
        return sorted(found, key=lambda face: -face.side)

    def label(self, image: Pixels, faces: Sequence[FoundFace]) -> list[PredictedFace]:
        """The expressions of known `faces` in an (H, W, 3) uint8 RGB image, in their order."""
        squares = [self.classifier.prepare(self.alignment.crop(image, face)) for face in faces]
        return self._with_expressions([_blank(face) for face in faces], squares)

    def describe(self) -> dict[str, Any]:
        """The card of the model: what it is, what it was trained on, and below which probability it does not answer."""
        found = {"unknown_below": self.threshold.probability, "unknown_because": self.threshold.reason}
        return {**self._card, **{name: value for name, value in found.items() if value}}

    @cached_property
    def _card(self) -> dict[str, Any]:
        from fercache.predicting.description import description  # reads records, with libraries that take time to load

        return description(self.classifier, self._settings)

    def warm(self) -> "Predictor":
        """Does once what only a first face needs, so that the next one is as fast as all others."""
        side = self.classifier.encoder.image_size
        self._shares([self.classifier.prepare(np.zeros((side, side, 3), np.uint8))])
        return self

    def _opened(self, images: Iterable[Given]) -> Iterator[_Opened]:
        numbered = list(enumerate(images)) if isinstance(images, Sequence) else enumerate(images)
        if isinstance(numbered, list) and len(numbered) == 1:  # no threads for the usual request
            yield self._open(numbered[0])
            return
        for _, opened in in_threads(numbered, self._open, per_task=PER_TASK, ahead=AHEAD):
            yield opened

    def _open(self, numbered: tuple[int, Given]) -> _Opened:
        number, given = numbered
        name = shown(Path(given)) if isinstance(given, Path | str) else f"image {number}"
        try:
            data = read_plain(str(given)) if isinstance(given, Path | str) else given
            pixels = _pixels(data)
        except Unreadable as error:
            return _Opened(PredictedImage(name, unreadable=str(error)))
        except OSError as error:
            return _Opened(PredictedImage(name, unreadable=f"cannot be read: {error.strerror or error}"))
        height, width, _ = pixels.shape
        faces, warning = self._faces_in(pixels)
        if isinstance(data, bytes) and is_animation(data):
            warning = f"{FIRST_FRAME}; {warning}" if warning else FIRST_FRAME
        crops = [pixels if face is None else self.alignment.crop(pixels, face) for face in faces]
        squares = tuple(map(self.classifier.prepare, crops))
        return _Opened(PredictedImage(name, width, height, tuple(map(_blank, faces)), warning=warning), squares)

    def _faces_in(self, pixels: Pixels) -> tuple[Sequence[FoundFace | None], str]:
        """The faces in an image, None for the whole image, and a warning."""
        height, width, _ = pixels.shape
        is_square = height == width <= LARGEST_FACE_CROP
        if self.detector is None:
            warning = looks_like_no_face(pixels) or ("" if is_square else self._no_detector)
            return [None], warning
        if is_square and width <= SMALL_SQUARE:
            return [None], looks_like_no_face(pixels) or ""
        found = self.find(pixels)
        if is_square and (not found or found[0].side >= FILLED * width):
            return [None], looks_like_no_face(pixels) or ""
        return found, "" if found else "no face found"

    def _labelled(self, opened: Sequence[_Opened]) -> Iterator[PredictedImage]:
        faces = [face for each in opened for face in each.image.faces]
        named = iter(self._with_expressions(faces, [square for each in opened for square in each.squares]))
        for each in opened:
            yield replace(each.image, faces=tuple(next(named) for _ in each.squares))

    def _with_expressions(self, faces: Sequence[PredictedFace], squares: Sequence[Square]) -> list[PredictedFace]:
        size = self.classifier.encoder.batch_size
        batches = [self._shares(squares[start : start + size]) for start in range(0, len(squares), size)]
        rows = [row for batch in batches for row in batch]
        return [self._with_expression(face, row) for face, row in zip(faces, rows, strict=True)]

    def _shares(self, squares: Sequence[Square]) -> NDArray[np.float32]:
        with self._one_batch:
            return self.classifier.probabilities(squares)

    def _with_expression(self, face: PredictedFace, shares: NDArray[np.float32]) -> PredictedFace:
        pairs = zip(self.names, map(float, shares), strict=True)
        return answered(face, dict(pairs), self.threshold.probability)


def load_predictor(
    model: str = ZERO_SHOT,
    *,
    detector: str | None = AUTO,
    settings: Settings | None = None,
    device: str = "auto",
    unknown_below: float | None = None,
    abstain_at: float | None = None,
) -> Predictor:
    """A warm predictor of "zero-shot" (text, without training), a run by name or key, or a method: all its seeds.

    `detector` "auto" is the default detector if it is installed, else none; None or "none": images are crops of faces.
    Expressions with a probability below `unknown_below` are "unknown"; `abstain_at` chooses that probability so that at
    most this share of the answers is wrong on the run's source validation. Raises UsageError for unknown names.
    """
    settings, zero_shot = settings or load_settings(), model == ZERO_SHOT
    check_asked(unknown_below, abstain_at, trained=not zero_shot)
    loaded, missing = usable_detector(detector)
    classifier = of_text(EncoderRequest(device=device)) if zero_shot else of_trained(settings, model, device)
    threshold = chosen_threshold(unknown_below, abstain_at, classifier=classifier, settings=settings)
    return Predictor(classifier, loaded, threshold=threshold, no_detector=missing, settings=settings).warm()


def usable_detector(name: str | None) -> tuple[Detector | None, str]:
    """The detector `NAME[:FILE]`, or none for NO_DETECTOR and None; with AUTO, none and why if it is not installed.

    Raises UsageError as `load_detector`.
    """
    if name in (None, NO_DETECTOR):
        return None, ""
    try:
        return load_detector(name), ""
    except UsageError:
        if name != AUTO:
            raise
    return None, f"is not square, so it may show more than a face, and no detector is installed ({INSTALL})"


def _blank(face: FoundFace | None) -> PredictedFace:
    """A face, or the whole image, as yet without an expression."""
    return PredictedFace("", {}, *((face.box, face.score, face.landmarks) if face else ()))


def _pixels(given: "bytes | Pixels | Image.Image") -> Pixels:
    """(H, W, 3) uint8 RGB. Raises Unreadable for images, and UsageError for other things."""
    if isinstance(given, bytes | np.ndarray):
        return decode(given)
    if not isinstance(given, Image.Image):
        kinds = "a path, the bytes of a file, an (H, W, 3) uint8 array or an image of Pillow's"
        raise UsageError(f"A {type(given).__name__} is not an image. Give {kinds}.")
    try:
        given.load()
        return decode(as_rgb(given, given))
    except (FercacheError, MemoryError):
        raise
    except Exception as error:  # decoders raise nearly everything on damaged data
        raise Unreadable(f"damaged ({type(error).__name__})") from None
