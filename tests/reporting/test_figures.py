import re
from base64 import b64decode
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from fercache.reporting.boards import Cell
from fercache.reporting.figures import (
    BAND,
    LOWERED,
    RAISED,
    SERIES,
    corruption_curves,
    generalisation_gap,
    mask_map,
    recall_bars,
    side_by_side,
)

RECALLS = {
    "zero-shot": {"anger": Cell((40.0, 41.0)), "fear": Cell()},
    "a <head> & more": {"anger": Cell((60.0, 70.0)), "fear": Cell((20.0, 30.0))},
}
GAPS = {"zero-shot": (Cell((50.0, 52.0)), Cell((30.0, 32.0))), "linear-probe": (Cell((80.0, 90.0)), Cell())}
KINDS = ("blur", "jpeg", "dark", "noise", "occlusion", "lowres")
FALLING = [(severity, Cell((80.0 - 5 * severity, 90.0 - 5 * severity))) for severity in range(6)]
BROKEN = [(severity, Cell() if severity == 2 else cell) for severity, cell in FALLING]
CURVES = {
    "zero-shot": (SERIES[0], dict.fromkeys(KINDS, FALLING)),
    "linear-probe": (SERIES[1], dict.fromkeys(KINDS, BROKEN)),
}


DEVIATION = np.array([[0.2, 0.0, -0.1, 0.1, 0.0], [-0.4, 0.1, 0.2, 0.0, 0.0]])


def drawings() -> list[str]:
    return [
        recall_bars(RECALLS, ["anger", "fear"], "Recall of <both> heads"),
        generalisation_gap(GAPS, "Gap & more"),
        corruption_curves(CURVES, "Six <panels>"),
        mask_map(DEVIATION, ["anger", "fear"], 0.2, "webcam & more", "Masks of <both>"),
    ]


@pytest.mark.parametrize("svg", drawings())
def test_a_drawing_is_one_svg_element_with_a_title(svg: str) -> None:
    root = ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns:xlink="x" ', 1))
    assert (root.tag, root.get("role")) == ("svg", "img")
    assert root[0].tag == "title" and root[0].text


@pytest.mark.parametrize("svg", drawings())
def test_a_drawing_takes_its_colours_and_font_from_the_page_and_loads_nothing(svg: str) -> None:
    assert "currentColor" in svg and "var(--rule" in svg
    assert not re.search(r"#01020\d|font-family|https?:|<style|<metadata", svg)


@pytest.mark.parametrize("svg", drawings())
def test_every_reference_in_a_drawing_is_defined(svg: str) -> None:
    wanted = set(re.findall(r'(?:href="#|url\(#)([\w-]+)', svg))
    assert wanted and wanted <= set(re.findall(r' id="([\w-]+)"', svg))


def test_a_drawing_is_the_same_every_time() -> None:
    assert drawings() == drawings()


def test_bars_and_dots_are_drawn_for_what_was_measured() -> None:
    svg = drawings()[0]
    assert svg.count("<use ") == 6  # a dot per seed: 2 + 0 + 2 + 2
    assert ">anger</text>" in svg and ">fear</text>" in svg


def test_the_gap_is_printed_and_missing_ones_are_x() -> None:
    svg = drawings()[1]
    assert ">−20.0</text>" in svg and ">X</text>" in svg
    assert svg.count("<use ") == 4


def lines_in(svg: str, colour: str) -> list[str]:
    """The paths of the lines in a colour, panel by panel."""
    return re.findall(rf'<path d="([^"]*)"[^>]*style="fill: none; stroke: {colour}', svg)


def test_there_is_a_panel_per_corruption_and_a_line_per_method() -> None:
    svg = drawings()[2]
    assert [kind for kind in KINDS if f">{kind}</text>" in svg] == list(KINDS)
    points = [[len(re.findall(r"[ML] ", path)) for path in lines_in(svg, colour)] for colour in SERIES[:2]]
    assert points == [[6] * 6, [5] * 6]


def test_a_line_is_broken_where_a_cell_is_missing() -> None:
    whole, broken = (lines_in(drawings()[2], colour)[0] for colour in SERIES[:2])
    assert (whole.count("M "), broken.count("M ")) == (1, 2)


def test_two_columns_of_panels_fit_a_phone() -> None:
    def height(curves: dict[str, tuple[str, dict[str, list[tuple[int, Cell]]]]]) -> float:
        (box,) = re.findall(r'viewBox="0 0 340 ([\d.]+)"', corruption_curves(curves, "Panels"))
        return float(box)

    one, two, three = (
        height({name: (colour, dict.fromkeys(KINDS[:count], FALLING)) for name, (colour, _) in CURVES.items()})
        for count in (1, 2, 3)
    )
    assert one == two < three


def pictures_in(svg: str) -> list[np.ndarray]:
    found = re.findall(r'href="data:image/png;base64,\s*([^"]+)"', svg)
    return [np.asarray(Image.open(BytesIO(b64decode(text)))).astype(int) for text in found]


def test_a_map_of_masks_has_a_band_per_expression_and_a_column_per_channel() -> None:
    picture, _ = pictures_in(drawings()[3])
    assert picture.shape == (2 * BAND, 5, 4)
    bands = picture[::BAND]
    assert (picture == bands.repeat(BAND, axis=0)).all()
    assert bands[..., 3].tolist() == [[255, 0, 136, 136, 0], [255, 136, 255, 0, 0]]  # full colour at 0.2 and beyond
    raised, lowered = ([int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (RAISED, LOWERED))
    assert bands[0, 0, :3].tolist() == raised and bands[1, 0, :3].tolist() == lowered


def test_a_map_of_masks_says_what_it_shows() -> None:
    svg = drawings()[3]
    for text in ("webcam &amp; more", "anger", "fear", "5 channels in 2 groups", "+0.2", "mask − mean over"):
        assert f">{text}" in svg


def test_a_map_of_masks_is_averaged_where_there_are_more_channels_than_pixels() -> None:
    assert "image-rendering" not in drawings()[3]


def test_an_expression_without_faces_is_an_empty_band() -> None:
    svg = mask_map(np.array([[0.2, -0.2], [np.nan, np.nan]]), ["anger", "fear"], 0.2, "webcam", "Masks")
    assert svg.count(">no faces</text>") == 1
    assert (pictures_in(svg)[0][BAND:, :, 3] == 0).all()


def test_drawings_side_by_side_are_a_document_of_their_own() -> None:
    drawing = drawings()[3]
    root = ElementTree.fromstring(side_by_side([drawing, drawing], "Two <maps>"))
    name = "{http://www.w3.org/2000/svg}"
    assert (root.tag, root[0].text) == (f"{name}svg", "Two <maps>")
    assert [(part.get("x"), part.get("width")) for part in root.findall(f"{name}svg")] == [("0", "340"), ("340", "340")]
    assert str(root.get("viewBox")).startswith("0 0 680 ")
