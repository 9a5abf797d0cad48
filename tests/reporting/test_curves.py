import re

import numpy as np
import pytest

from fercache.reporting.curves import Line, abstention, corruption_curves, reliability, setting_curve
from fercache.reporting.drawing import SERIES, Drawing
from fercache.reporting.table_rows import Cell

KINDS = ("blur", "jpeg", "dark", "noise", "occlusion", "lowres")
FALLING = [(severity, Cell((80.0 - 5 * severity, 90.0 - 5 * severity))) for severity in range(6)]
BROKEN = [(severity, Cell() if severity == 2 else cell) for severity, cell in FALLING]
CURVES = {
    "zero-shot": (SERIES[0], dict.fromkeys(KINDS, FALLING)),
    "linear-probe": (SERIES[1], dict.fromkeys(KINDS, BROKEN)),
}
LINES = [
    Line(SERIES[0], "zero-shot, 0.1", (10.0, 50.0, 90.0), (20.0, 40.0, 60.0), (0.1, 0.2, 0.7)),
    Line(SERIES[1], "linear-probe, 0.2", (30.0, 100.0), (0.0, 100.0), (0.5, 0.5)),
]


def corruptions() -> Drawing:
    return corruption_curves(CURVES, "Six <panels>")


def settings() -> Drawing:
    cells = [Cell((70.0, 72.0)), Cell(), Cell((80.0, 82.0)), Cell((75.0, 77.0))]
    return setting_curve((0.1, 1, 5, 20), {"source": cells, "mean over unseen": cells[::-1]}, "beta", "By <beta>")


def lines_in(svg: str, colour: str) -> list[str]:
    """The paths of the lines in a colour, panel by panel."""
    return re.findall(rf'<path d="([^"]*)"[^>]*style="fill: none; stroke: {colour}', svg)


def test_there_is_a_panel_per_corruption_and_a_line_per_method() -> None:
    svg = corruptions().svg
    assert [kind for kind in KINDS if f">{kind}</text>" in svg] == list(KINDS)
    points = [[len(re.findall(r"[ML] ", path)) for path in lines_in(svg, colour)] for colour in SERIES[:2]]
    assert points == [[6] * 6, [5] * 6]


def test_a_line_is_broken_where_a_cell_is_missing() -> None:
    whole, broken = (lines_in(corruptions().svg, colour)[0] for colour in SERIES[:2])
    assert (whole.count("M "), broken.count("M ")) == (1, 2)


def test_two_columns_of_panels_fit_a_phone() -> None:
    def height(curves: dict[str, tuple[str, dict[str, list[tuple[int, Cell]]]]]) -> float:
        (box,) = re.findall(r'viewBox="0 0 340 ([\d.]+)"', corruption_curves(curves, "Panels").svg)
        return float(box)

    one, two, three = (
        height({name: (colour, dict.fromkeys(KINDS[:count], FALLING)) for name, (colour, _) in CURVES.items()})
        for count in (1, 2, 3)
    )
    assert one == two < three


@pytest.mark.parametrize("draw", [reliability, abstention])
def test_every_method_has_a_line_of_its_points_and_is_named(draw: object) -> None:
    svg = draw(LINES, "Lines").svg  # type: ignore[operator]
    assert [len(re.findall(r"[ML] ", path)) for colour in SERIES[:2] for path in lines_in(svg, colour)] == [3, 2]
    assert all(f">{line.label}</text>" in svg for line in LINES)


def test_points_of_reliability_grow_with_their_faces() -> None:
    (dots,) = re.findall(rf'<g[^>]* style="fill: {SERIES[0]}[^>]*>(.*?)</g>', reliability(LINES, "").svg, re.DOTALL)
    sizes = [float(radius) for radius in re.findall(r'<circle [^>]*r="([\d.]+)"', dots)]
    assert len(sizes) == 3 and sizes == sorted(sizes) and sizes[2] > 1.5 * sizes[0]


def test_a_setting_has_evenly_spaced_values_a_curve_per_name_and_dots_for_seeds() -> None:
    svg = settings().svg
    assert all(f">{text}</text>" in svg for text in ("0.1", "1", "5", "20", "beta", "source", "mean over unseen"))
    (source,), (unseen,) = (lines_in(svg, colour) for colour in SERIES[:2])
    assert source.count("M ") == unseen.count("M ") == 2  # broken where a cell is missing
    places = [float(x) for x in re.findall(r"[ML] ([\d.]+)", source + unseen)]
    steps = sorted(set(places))
    assert np.diff(steps) == pytest.approx([np.diff(steps)[0]] * 3, abs=0.2)
