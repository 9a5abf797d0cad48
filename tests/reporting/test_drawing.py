import re
from io import BytesIO
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from PIL import Image

from fercache.reporting.curves import Line, abstention, reliability, setting_curve
from fercache.reporting.drawing import (
    FAINT,
    INK,
    STYLE,
    WIDTH,
    Drawing,
    axes_within,
    canvas,
    draw_legend,
    drawing,
    legend_height,
    tens_around,
    with_own_names,
)
from fercache.reporting.figures import mask_map
from fercache.reporting.table_rows import Cell
from tests.reporting.test_curves import LINES, corruptions, settings
from tests.reporting.test_figures import bars, gap

SVG = "{http://www.w3.org/2000/svg}"


DRAWINGS = {
    "bars": bars,
    "gap": gap,
    "corruptions": corruptions,
    "settings": settings,
    "reliability": lambda: reliability(LINES, "How <sure>"),
    "abstention": lambda: abstention(LINES, "Risk & more"),
}


def drawings() -> list[Drawing]:
    return [draw() for draw in DRAWINGS.values()]


@pytest.fixture(scope="module", params=DRAWINGS)
def drawn(request: pytest.FixtureRequest) -> Drawing:
    return DRAWINGS[request.param]()


def test_in_a_page_it_is_one_element_with_a_title_and_a_name(drawn: Drawing) -> None:
    root = ElementTree.fromstring(drawn.svg.replace("<svg ", '<svg xmlns:xlink="x" ', 1))
    assert (root.tag, root.get("role")) == ("svg", "img")
    assert root[0].tag == "title" and root[0].text == drawn.description
    assert drawn.__html__() == drawn.svg


def test_in_a_page_it_takes_colours_and_font_from_it_and_loads_nothing(drawn: Drawing) -> None:
    assert "currentColor" in drawn.svg and "var(--rule" in drawn.svg
    assert not re.search(rf"{INK}|{FAINT}|font-family|https?:|<style|<metadata", drawn.svg)


def test_every_reference_is_defined(drawn: Drawing) -> None:
    wanted = set(re.findall(r'(?:href="#|url\(#)([\w-]+)', drawn.svg))
    assert wanted and wanted <= set(re.findall(r' id="([\w-]+)"', drawn.svg))


def test_as_a_file_it_stands_on_white_in_colours_of_its_own(drawn: Drawing) -> None:
    root = ElementTree.fromstring(drawn.document)
    assert root.tag == f"{SVG}svg" and root[0].text == drawn.description
    assert (root[1].tag, root[1].get("fill")) == (f"{SVG}rect", "#fff")
    assert INK in drawn.document and FAINT in drawn.document
    assert not re.search(r"currentColor|var\(|<style|<metadata", drawn.document)
    assert str(root.get("viewBox")).split()[2:] == [root.get("width"), root.get("height")]


def test_as_a_png_it_is_twice_as_large_and_stands_on_white(drawn: Drawing) -> None:
    image = Image.open(BytesIO(drawn.png))
    pixels = np.asarray(image.convert("RGBA")).astype(int)
    height = float(re.findall(r'viewBox="0 0 340 ([\d.]+)"', drawn.svg)[0])
    assert image.size == (2 * WIDTH, round(2 * height))
    assert (pixels[..., 3] == 255).all() and (pixels[0] == 255).all()
    assert pixels[..., :3].sum(axis=2).min() < 150  # text that can be read


def test_it_is_the_same_every_time() -> None:
    assert [(each.svg, each.png) for each in drawings()] == [(each.svg, each.png) for each in drawings()]


def test_a_long_name_takes_several_lines_of_the_legend() -> None:
    name = "sigmoid-mask (mlp trunk, learning_rate=0.0002, batch_size=32, epochs=30)"
    assert legend_height([name]) > legend_height(["short"]) == legend_height(["other"])
    with mpl.rc_context(STYLE):
        figure = canvas(legend_height([name]))
        draw_legend(figure, {name: "#123456"})
        texts = re.findall(r">([^<]+)</text>", drawing(figure, "").svg)
    assert texts[0] == "■" and " ".join(texts[1:]) == name


def test_numbers_that_are_text_are_not_rounded() -> None:
    with mpl.rc_context(STYLE):
        figure = canvas(30)
        figure.text(0.123456, 0.5, "0.123456")
        svg = drawing(figure, "0.654321").svg
    assert ">0.123456</text>" in svg and "<title>0.654321</title>" in svg and 'x="42"' in svg


@pytest.mark.parametrize(
    ("values", "step", "expected"),
    [([41.0, 77.0], 10, (40, 80)), ([80.0], 20, (60, 80)), ([0.0], 10, (0, 10)), ([100.0, 3.0], 10, (0, 100))],
)
def test_axes_end_at_round_numbers(values: list[float], step: int, expected: tuple[int, int]) -> None:
    assert tens_around(values, step) == expected


def test_parts_of_different_figures_have_different_names_on_a_page() -> None:
    """Of those that look alike as well, as zero-shot does whatever the others were trained on."""
    page = with_own_names("".join(each.svg for each in (*drawings(), *drawings())))
    names = re.findall(r' id="([^"]*)"', page)
    assert len(set(names)) == len(names) > 0
    for figure in page.split("<svg ")[1:]:
        used = re.findall(r'(?:href="|url\()#([\w.-]+)', figure)
        assert set(used) == set(re.findall(r' id="([^"]*)"', figure)), "a part is used that is not there, or unused"


@example(r"$\frac{$")
@example(r"$x^2$ and $\alpha$")
@example("a $ b $")
@settings_of_hypothesis(max_examples=25, deadline=None)
@given(st.text(st.sampled_from("$\\{}^_%&#~<>ab "), min_size=1, max_size=12))
def test_every_text_of_a_figure_is_literal(name: str) -> None:
    line = Line("#000000", name, [0.0, 100.0], [0.0, 100.0], [0.5, 0.5])
    sweep = setting_curve([1.0, 2.0, 3.0], {name: [Cell((50.0,))] * 3}, name, "d")
    masks = mask_map(np.zeros((2, 4)), [name, "fear"], 1.0, name, "d")
    for drawn, expected in ((reliability([line], "d"), 1), (sweep, 2), (masks, 2)):
        assert drawn.png  # drawn once more, outside of the style
        texts = ["".join(text.itertext()) for text in ElementTree.fromstring(drawn.document).iter(f"{SVG}text")]
        assert sum(text.split() == name.split() for text in texts) >= expected * bool(name.strip())


def test_a_dot_of_its_own_size_is_a_circle_and_neighbours_state_their_style_once() -> None:
    with mpl.rc_context(STYLE):
        figure = canvas(100)
        axes = axes_within(figure, (0, 0), (0, 0))
        axes.set(xlim=(0, 340), ylim=(100, 0))
        axes.scatter([50, 100, 200], [50, 20, 40], s=[16, 64, 144], color="#3b74b9")
        svg = drawing(figure, "dots").svg
    (group,) = re.findall(r"<g[^>]*fill: #3b74b9[^>]*>(.*?)</g>", svg, re.DOTALL)
    found = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"', group)
    assert [[float(each) for each in circle] for circle in found] == [[50, 50, 2], [100, 20, 4], [200, 40, 6]]
    assert group.count("style=") == 0 and "C " not in svg


def test_groups_without_attributes_are_gone_and_the_rest_is_closed_in_order() -> None:
    with mpl.rc_context(STYLE):
        figure = canvas(60)
        axes = axes_within(figure, (30, 5), (20, 5))
        axes.plot([0, 1, 2], [0, 2, 1], "o-")
        axes.scatter([0, 1, 2], [0, 2, 1])
        svg = drawing(figure, "groups").svg
    assert "<g>" not in svg and "<g/>" not in svg
    root = ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns:xlink="x" ', 1))
    assert len(root.findall(".//use")) == 6
