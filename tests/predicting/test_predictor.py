"""Images of every kind become results per face, the same from one thread or several."""

import io
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fercache.detectors import AUTO
from fercache.errors import UsageError
from fercache.options.extract import EncoderRequest
from fercache.predicting import predictor as module
from fercache.predicting.classifiers import of_text
from fercache.predicting.predictor import Predictor, load_predictor, usable_detector
from fercache.predicting.results import UNKNOWN, PredictedImage, to_frame
from fercache.predicting.thresholds import Threshold
from fercache.settings import Settings
from tests.predicting.fake_detector import FakeDetector, scene

pytestmark = pytest.mark.usefixtures("pixel_encoder")


@pytest.fixture
def detector() -> FakeDetector:
    return FakeDetector()


@pytest.fixture
def predictor(pixel_encoder: type, detector: FakeDetector) -> Predictor:
    return Predictor(of_text(EncoderRequest(name="pixels")), detector)


def crop(seed: int, side: int = 48) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 200, (side, side, 3), dtype=np.uint8)


def as_png(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_all_kinds_of_images_give_the_same_result(predictor: Predictor, tmp_path: Path) -> None:
    pixels, path = crop(0), tmp_path / "a.png"
    path.write_bytes(as_png(pixels))
    found = predictor([path, str(path), as_png(pixels), pixels, Image.open(path), Image.fromarray(pixels)])
    assert [image.name for image in found] == [str(path), str(path), *(f"image {n}" for n in range(2, 6))]
    assert len({tuple(image.faces[0].probabilities.items()) for image in found}) == 1
    shares = list(found[0].faces[0].probabilities.values())
    assert sum(shares) == pytest.approx(1) and shares == sorted(shares, reverse=True)
    assert found[0].faces[0].expression == next(iter(found[0].faces[0].probabilities))


def test_what_cannot_be_read_says_why_and_the_others_go_on(predictor: Predictor, tmp_path: Path) -> None:
    grey = np.zeros((9, 9), np.uint8)
    bad = [tmp_path / "none.png", tmp_path, b"", b"text", grey, as_png(crop(0))[:-50], "/dev/null"]
    found = predictor([*bad, crop(1)])
    assert [bool(image.unreadable) for image in found] == [True] * len(bad) + [False]
    assert "no such file" in found[0].unreadable and found[2].unreadable == "zero bytes"
    assert found[0].to_dict() == {"image": str(tmp_path / "none.png"), "unreadable": found[0].unreadable}
    with pytest.raises(UsageError, match="A float is not an image"):
        predictor([1.5])  # type: ignore[list-item]


def test_a_photograph_gives_a_result_per_face_the_largest_first(predictor: Predictor) -> None:
    (image,) = predictor([scene(400, 300, (10, 10, 60), (200, 50, 120))])
    assert [face.box for face in image.faces] == [(200.0, 50.0, 320.0, 170.0), (10.0, 10.0, 70.0, 70.0)]
    assert [face.score for face in image.faces] == [0.9, 0.9]
    whole = scene(400, 300, (200, 50, 120))[50:170, 200:320]
    (alone,) = predictor([scene(120, 120, (0, 0, 120))])
    assert alone.faces[0].box is None, "a small square is a crop"
    assert whole.shape == (120, 120, 3)
    assert predictor([scene(400, 300)])[0].warning == "no face found"
    assert predictor([scene(400, 300)])[0].faces == ()


@pytest.mark.parametrize(
    ("side", "face", "is_crop"),
    [(256, 20, True), (600, 400, True), (600, 100, False), (600, 0, True), (2100, 2000, False)],
)
def test_a_square_is_a_crop_if_it_is_small_or_a_face_fills_it(
    predictor: Predictor, side: int, face: int, is_crop: bool
) -> None:
    (image,) = predictor([scene(side, side, *([(20, 20, face)] if face else []))])
    assert [found.box is None for found in image.faces] == [is_crop]


def test_without_a_detector_images_that_are_no_square_are_warned_about(pixel_encoder: type) -> None:
    classifier = of_text(EncoderRequest(name="pixels"))
    warned = Predictor(classifier, no_detector="is no square")
    silent = Predictor(classifier, *usable_detector("none")[:1])
    for predictor, warning in ((warned, "is no square"), (silent, "")):
        (image,) = predictor([crop(0)[:40]])
        assert image.warning == warning and len(image.faces) == 1
        assert predictor([crop(0)])[0].warning == ""


def test_a_default_detector_that_is_not_installed_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> FakeDetector:
        raise UsageError(f"{name} is not installed")

    monkeypatch.setattr(module, "load_detector", missing)
    found, why = usable_detector(AUTO)
    assert found is None and "pip install 'fercache[faces]'" in why
    with pytest.raises(UsageError, match="other is not installed"):
        usable_detector("other")


def test_faces_below_the_threshold_are_unknown(predictor: Predictor) -> None:
    images = [crop(seed) for seed in range(20)]
    shares = [max(image.faces[0].probabilities.values()) for image in predictor(images)]
    middle = sorted(shares)[10]
    unsure = Predictor(predictor.classifier, threshold=Threshold(middle, "because"))
    expressions = [image.faces[0].expression for image in unsure(images)]
    assert [each == UNKNOWN for each in expressions] == [share < middle for share in shares]
    card = unsure.describe()
    assert (card["model"], card["unknown_below"], card["unknown_because"]) == ("zero-shot", middle, "because")


def test_batches_do_not_change_results_or_their_order(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [scene(400, 300, *[(100 * n, 60 * n, 50) for n in range(number % 4)]) for number in range(30)]
    expected = rounded([predictor([image])[0] for image in images])
    assert rounded(predictor(images)) == expected
    monkeypatch.setattr(predictor.classifier.encoder, "batch_size", 5)
    monkeypatch.setattr(module, "WAITING", 7)
    assert rounded(predictor.stream(iter(images))) == expected
    assert [len(faces) for faces in expected][:4] == [0, 1, 2, 3]


def rounded(images: Iterable[PredictedImage]) -> list[list[tuple[object, ...]]]:
    """Boxes and probabilities; the size of a batch changes their last digits."""
    return [
        [(face.box, *(round(share, 5) for _, share in sorted(face.probabilities.items()))) for face in image.faces]
        for image in images
    ]


def test_a_stream_reads_only_a_little_ahead(predictor: Predictor) -> None:
    read = []

    def images() -> object:
        for number in range(1000):
            read.append(number)
            yield crop(number % 7)

    stream = predictor.stream(images())  # type: ignore[arg-type]
    next(stream)
    assert len(read) < 300


def test_known_faces_of_an_image_keep_their_order(predictor: Predictor) -> None:
    pixels = scene(400, 300, (10, 10, 60), (200, 50, 120))
    found = list(reversed(predictor.find(pixels)))
    assert predictor.label(pixels, found) == list(reversed(predictor([pixels])[0].faces))
    assert predictor.label(pixels, []) == []


def test_threads_get_the_results_of_one(predictor: Predictor) -> None:
    images = [crop(seed) for seed in range(12)] + [scene(400, 300, (10, 10, 60))]
    expected, found, start = predictor(images), [], threading.Barrier(8)

    def call() -> None:
        start.wait()
        found.append(predictor(images))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8


FIRST_CALLS = """
import threading
start, found = threading.Barrier(3), []
def call():
    start.wait()
    import fercache, numpy
    predictor = fercache.load_predictor(detector=None)
    faces = numpy.random.default_rng(0).integers(0, 255, (5, 64, 64, 3), dtype="uint8")
    found.append([image.to_dict() for image in predictor(list(faces))])
threads = [threading.Thread(target=call) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(found) == 3, "a thread failed"
assert all(each == found[0] for each in found)
"""


def test_the_first_calls_of_a_process_may_come_from_three_threads(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_CALLS], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_frame_has_a_row_per_face(predictor: Predictor) -> None:
    frame = to_frame(predictor([scene(400, 300, (10, 10, 60), (200, 50, 120)), b"", crop(0)]))
    assert list(frame["path"]) == ["image 0", "image 0", "image 1", "image 2"]
    assert list(frame["face"].dropna()) == [0, 1, 0]
    assert list(frame["left"].dropna()) == [200, 10]
    assert frame.loc[2, "unreadable"] == "zero bytes"
    assert frame.loc[[0, 1, 3], list(predictor.names)].sum(axis=1).to_numpy() == pytest.approx(1)
    assert to_frame([]).empty


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": "nothing"}, "There is no run 'nothing'"),
        ({"unknown_below": 1.5}, "between 0 and 1"),
        ({"unknown_below": 0.5, "abstain_at": 0.5}, "one or the other"),
        ({"abstain_at": 0.1}, "a trained run"),
        ({"detector": "mtcn"}, "mtcnn"),
    ],
)
def test_wrong_use_is_refused(settings: Settings, given: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_predictor(settings=settings, **given)  # type: ignore[arg-type]
