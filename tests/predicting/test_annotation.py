"""Annotated images: boxes where the faces are, labels that can be read, and no file of the user's overwritten."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from fercache.predicting.annotation import (
    COLOURS,
    LEAST_SIDE,
    MOST_SIDE,
    Annotations,
    annotated,
    colour_of,
    text_height,
)
from fercache.predicting.results import UNKNOWN, PredictedFace, PredictedImage

GREY = 128


def face(*box: float, expression: str = "happiness") -> PredictedFace:
    shares = {"happiness": 0.9, "sadness": 0.1} if expression == "happiness" else {expression: 1.0}
    return PredictedFace(expression, shares, tuple(box) if box else None, 0.9)  # type: ignore[arg-type]


def blank(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def coloured(image: Image.Image, colour: str = COLOURS["happiness"]) -> np.ndarray:
    """(H, W) the pixels of a colour."""
    return np.asarray((np.asarray(image) == ImageColor.getrgb(colour)).all(axis=2))


@pytest.mark.parametrize("size", [(40, 30), (480, 480), (1200, 800), (300, 3000), (4500, 900)])
def test_labels_can_be_read_at_any_size(size: tuple[int, int]) -> None:
    width, height = size
    image = annotated(blank(width, height), [face(width * 0.4, height * 0.4, width * 0.6, height * 0.8)])
    assert LEAST_SIDE <= max(image.size) <= MOST_SIDE
    assert image.width / image.height == pytest.approx(width / height, rel=0.02)
    rows, columns = np.nonzero(coloured(image))
    runs_of_label = [np.ptp(columns[rows == row]) for row in np.unique(rows)]
    text = text_height(image.size)
    assert text >= 16 and max(runs_of_label) >= 4 * text, "a label is as wide as its text"
    black = (np.asarray(image) < 40).all(axis=2)
    assert np.ptp(np.nonzero(black)[0]) >= 0.5 * text, "letters are as high as half of the line"


def test_a_box_is_drawn_where_the_face_is() -> None:
    image = annotated(blank(800, 600), [face(200, 200, 400, 450)])
    yellow = coloured(image)
    assert yellow[300, 200] and yellow[300, 400] and yellow[450, 300]
    assert not yellow[300, 210:390].any()
    inside = np.asarray(image)[300, 210:390]
    assert (inside == GREY).all()


@pytest.mark.parametrize("box", [(-50, -50, 100, 100), (700, 500, 900, 700), (0, 0, 800, 600), (790, 590, 799, 599)])
def test_labels_stay_in_the_image(box: tuple[float, ...]) -> None:
    image = annotated(blank(800, 600), [face(*box)])
    rows, columns = np.nonzero(coloured(image))
    in_label = [row for row in np.unique(rows) if np.ptp(columns[rows == row]) > 100]
    assert len(in_label) >= 16


def test_labels_do_not_hide_each_other() -> None:
    faces = [face(300, 200, 380, 280), face(310, 205, 390, 285, expression="anger")]
    image = annotated(blank(800, 600), faces)
    heights = []
    for colour in (COLOURS["happiness"], COLOURS["anger"]):
        rows, columns = np.nonzero(coloured(image, colour))
        heights.append(len([row for row in np.unique(rows) if np.ptp(columns[rows == row]) > 85]))
    assert min(heights) >= 16


def test_a_long_sentence_is_cut_to_the_width() -> None:
    words = "a photograph of a man who is " + "very " * 60 + "happy"
    image = annotated(blank(480, 480), [PredictedFace(words, {words: 1.0})])
    assert image.size == (480, 480)


def test_an_unknown_expression_is_grey() -> None:
    unsure = PredictedFace(UNKNOWN, {"happiness": 0.4, "anger": 0.3})
    assert colour_of(unsure) == COLOURS[UNKNOWN]
    assert colour_of(PredictedFace("a smile", {"a smile": 1.0})) != COLOURS[UNKNOWN]


def test_inputs_are_never_overwritten(tmp_path: Path) -> None:
    inputs = [tmp_path / name for name in ("a.jpg", "a.faces.jpg", "other/a.png")]
    for number, path in enumerate(inputs):
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(blank(60 + number, 50)).save(path)
    before = [path.read_bytes() for path in inputs]
    image = PredictedImage("a", 60, 50, (face(),))
    for _ in range(2):  # a second run replaces what the first has written
        drawn = Annotations(tmp_path)
        drawn.keep(inputs)
        written = [drawn.add(path, image) for path in inputs]
        assert [path.name for path in written if path] == ["a.faces-2.jpg", "a.faces.faces.jpg", "a.faces-3.jpg"]
    assert [path.read_bytes() for path in inputs] == before
    assert not list(tmp_path.glob("*.tmp"))


def test_what_has_no_face_or_is_gone_is_not_drawn(tmp_path: Path) -> None:
    drawn = Annotations(tmp_path / "out")
    assert drawn.add(tmp_path / "gone.png", PredictedImage("gone", 60, 50, (face(),))) is None
    assert drawn.add(tmp_path / "a.png", PredictedImage("a", 60, 50)) is None
    assert not (tmp_path / "out").exists()
