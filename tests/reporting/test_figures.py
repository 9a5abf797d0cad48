import re
from base64 import b64decode
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from fercache.reporting.drawing import Drawing
from fercache.reporting.figures import (
    BAND,
    LOWERED,
    RAISED,
    Bar,
    generalisation_gap,
    mask_map,
    recall_bars,
    side_by_side,
)
from fercache.reporting.table_rows import Cell

RECALLS = {
    "zero-shot": {"anger": Bar(Cell((40.0, 41.0)), (30.0, 50.0)), "fear": Bar(Cell())},
    "a <head> & more": {"anger": Bar(Cell((60.0, 70.0)), (50.0, 75.0)), "fear": Bar(Cell((20.0, 30.0)))},
}
GAPS = {"zero-shot": (Cell((50.0, 52.0)), Cell((30.0, 32.0))), "linear-probe": (Cell((80.0, 90.0)), Cell())}
DEVIATION = np.array([[0.2, 0.0, -0.1, 0.1, 0.0], [-0.4, 0.1, 0.2, 0.0, 0.0]])


def bars() -> Drawing:
    return recall_bars(RECALLS, ["anger", "fear"], "Recall of <both> heads")


def gap() -> Drawing:
    return generalisation_gap(GAPS, "Gap & more")


def drawn_masks() -> Drawing:
    return mask_map(DEVIATION, ["anger", "fear"], 0.2, "webcam & more", "Masks of <both>")


def masks() -> str:
    return drawn_masks().svg


def test_bars_and_dots_are_drawn_for_what_was_measured() -> None:
    svg = bars().svg
    assert svg.count("<use ") == 6  # a dot per seed: 2 + 0 + 2 + 2
    assert ">anger</text>" in svg and ">fear</text>" in svg


def whiskers(svg: str) -> list[float]:
    """How long each one is, in pixels."""
    alike = re.findall(r"<g[^>]*stroke: currentColor[^>]*>(.*?)</g>", svg, re.DOTALL)
    single = re.findall(r"<path [^>]*stroke: currentColor[^>]*/>", svg)
    ends = re.findall(r'd="M ([\d.]+) ([\d.]+) L ([\d.]+) \2"', "".join([*alike, *single]))
    return [float(right) - float(left) for left, _, right in ends]


def test_whiskers_are_as_long_as_the_interval_and_absent_without_one() -> None:
    first, second = whiskers(bars().svg)
    assert 0 < first < second and abs(second / first - 25 / 20) < 0.01


def test_the_gap_is_printed_and_missing_ones_are_x() -> None:
    svg = gap().svg
    assert ">−20.0</text>" in svg and ">X</text>" in svg
    assert svg.count("<use ") == 4


def images_in(svg: str) -> list[np.ndarray]:
    found = re.findall(r'href="data:image/png;base64,\s*([^"]+)"', svg)
    return [np.asarray(Image.open(BytesIO(b64decode(text)))).astype(int) for text in found]


def test_a_map_of_masks_has_a_band_per_expression_and_a_column_per_channel() -> None:
    image, _ = images_in(masks())
    assert image.shape == (2 * BAND, 5, 4)
    bands = image[::BAND]
    assert (image == bands.repeat(BAND, axis=0)).all()
    assert bands[..., 3].tolist() == [[255, 0, 136, 136, 0], [255, 136, 255, 0, 0]]  # full colour at 0.2 and beyond
    raised, lowered = ([int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (RAISED, LOWERED))
    assert bands[0, 0, :3].tolist() == raised and bands[1, 0, :3].tolist() == lowered


def test_a_map_of_masks_says_what_it_shows() -> None:
    svg = masks()
    for text in ("webcam &amp; more", "anger", "fear", "5 channels in 2 groups", "+0.2", "mask − mean over"):
        assert f">{text}" in svg


def test_a_map_of_masks_is_averaged_where_there_are_more_channels_than_pixels() -> None:
    assert "image-rendering" not in masks()


def test_an_expression_without_faces_is_an_empty_band() -> None:
    svg = mask_map(np.array([[0.2, -0.2], [np.nan, np.nan]]), ["anger", "fear"], 0.2, "webcam", "Masks").svg
    assert svg.count(">no faces</text>") == 1
    assert (images_in(svg)[0][BAND:, :, 3] == 0).all()


def test_drawings_side_by_side_are_a_document_of_their_own() -> None:
    drawing = drawn_masks()
    root = ElementTree.fromstring(side_by_side([drawing, drawing], "Two <maps>"))
    name = "{http://www.w3.org/2000/svg}"
    assert (root.tag, root[0].text) == (f"{name}svg", "Two <maps>")
    assert [(part.get("x"), part.get("width")) for part in root.findall(f"{name}svg")] == [("0", "340"), ("340", "340")]
    assert str(root.get("viewBox")).startswith("0 0 680 ")


def test_a_long_name_beside_a_gap_is_whole() -> None:
    name = "text-similarity (mlp trunk, learning_rate=0.0003, label_smoothing=0.1, recipe=cafe)"
    svg = generalisation_gap({name: (Cell((80.0,)), Cell((50.0,))), "knn": GAPS["zero-shot"]}, "").svg
    lines = re.findall(r">([^<>]*)</text>", svg)
    assert " ".join(lines).count(name) == 1 and max(map(len, lines)) <= 40 and "−30.0" in lines
