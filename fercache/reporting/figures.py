"""Figures as SVG text for the page: drawn by matplotlib, coloured by the page.

Colours are style variables of the page with a fallback, text is in the page's own colour and font, the background is
transparent: one drawing serves light and dark mode.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape
from io import StringIO
from math import ceil, floor, nan
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fercache.reporting.boards import MISSING, Cell

WIDTH = 340  # pixels: a phone shows it without shrinking
PANEL = 136  # pixels, the height of a corruption's panel with its title and numbers
BAND = 20  # pixels, the height of an expression in a map of masks
SERIES = ("#3b74b9", "#c7792b", "#3f8f6b", "#8a63b3", "#b4495f", "#6f7780", "#2f93a3", "#99852b")
"""Colours of the methods, mid-toned to stand on white and on black."""

RAISED, LOWERED = SERIES[1], SERIES[0]
"""Colours of channels that an expression's mask lets through more, and less, than the other expressions' do."""

Curve = Sequence[tuple[int, Cell]]
"""Severities, and accuracy at each."""

_INK, _FAINT = "#010203", "#010204"
_PAGE_COLOURS = {_INK: "currentColor", _FAINT: "var(--rule, #8884)"}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fercache",
    "font.size": 12,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "image.composite_image": False,  # pictures keep their own resolution
}


def recall_bars(recalls: Mapping[str, Mapping[str, Cell]], expressions: Sequence[str], description: str) -> str:
    """SVG of grouped bars: `recalls[method][expression]` in percent, the mean as a bar and each seed as a dot."""
    height = 0.8 / len(recalls)
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(height=48 + 62 * len(expressions), margins=(78, 14, 46, 4))
        axes.grid(axis="x", color=_FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
        for series, (colour, recall) in enumerate(zip(colours(len(recalls)), recalls.values(), strict=True)):
            places = np.arange(len(expressions)) - 0.4 + height * (series + 0.5)
            cells = [recall[expression] for expression in expressions]
            axes.barh(places, [cell.mean or 0 for cell in cells], height * 0.86, color=colour, alpha=0.75)
            seeds = [(value, place) for place, cell in zip(places, cells, strict=True) for value in cell.values]
            _dots(axes, seeds, colour=_INK, size=5)
        axes.set(xlim=(0, 102), ylim=(len(expressions) - 0.5, -0.5), xlabel="recall, %")
        axes.set_yticks(range(len(expressions)), expressions)
        return _svg(figure, description)


def generalisation_gap(methods: Mapping[str, tuple[Cell, Cell]], description: str) -> str:
    """SVG: per method the accuracy on its source and the mean on unseen targets, in percent, each seed as a dot."""
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(height=50 + 46 * len(methods), margins=(10, 14, 42, 4))
        axes.grid(axis="x", color=_FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
        across = axes.get_yaxis_transform()
        for row, (colour, name) in enumerate(zip(colours(len(methods)), methods, strict=True)):
            source, unseen = methods[name]
            axes.text(0, row - 0.22, name, va="center", transform=across)
            if source.mean is None or unseen.mean is None:
                axes.text(1, row - 0.22, MISSING, va="center", ha="right", transform=across)
                continue
            gap, place = unseen.mean - source.mean, row + 0.15
            axes.text(
                1, row - 0.22, f"{gap:+.1f}".replace("-", "−"), va="center", ha="right", weight="bold", transform=across
            )
            axes.hlines(place, unseen.mean, source.mean, color=colour, linewidth=5, alpha=0.3)
            _dots(axes, [(value, place) for value in source.values], colour=colour, size=26)
            _dots(axes, [(value, place) for value in unseen.values], colour="none", size=26, edge=colour)
        axes.set(xlim=(0, 100), ylim=(len(methods) - 0.5, -0.5), yticks=[], xlabel="accuracy, %")
        return _svg(figure, description)


def corruption_curves(methods: Mapping[str, tuple[str, Mapping[str, Curve]]], description: str) -> str:
    """SVG: a panel per corruption with accuracy in percent by severity, a line per method.

    `methods[name]` is the colour, and the curves by corruption; a line is broken where a cell is missing.
    """
    curves = [curve for _, by_kind in methods.values() for curve in by_kind.values()]
    means = [cell.mean for curve in curves for _, cell in curve if cell.mean is not None]
    lowest, highest = 20 * floor(min(means) / 20), 20 * ceil(max(means) / 20)
    kinds = list(dict.fromkeys(kind for _, by_kind in methods.values() for kind in by_kind))
    height = PANEL * ceil(len(kinds) / 2) + 24
    with mpl.rc_context(_STYLE):
        figure = _canvas(height)
        for place, kind in enumerate(kinds):
            row, right = divmod(place, 2)
            top = PANEL * row
            axes = _axes(figure, (190, 14) if right else (32, 172), (height - top - PANEL + 18, top + 22))
            axes.set_title(kind, loc="left", fontsize=12, weight="bold", color=_INK, pad=6)
            axes.grid(axis="y", color=_FAINT, linewidth=0.8)
            for colour, by_kind in methods.values():
                severities = [severity for severity, _ in by_kind[kind]]
                values = [nan if cell.mean is None else cell.mean for _, cell in by_kind[kind]]
                axes.plot(severities, values, color=colour, linewidth=1.8, marker="o", markersize=3.6)
            axes.set(xlim=(-0.25, 5.25), ylim=(lowest - 1, highest + 1), xticks=range(6))
            axes.set_yticks(range(lowest, highest + 1, 20))
            axes.tick_params(labelleft=not right, labelsize=11)
        figure.text(32 / WIDTH, 4 / height, "accuracy in %, by severity (0: clean)", color=_INK)
        return _svg(figure, description)


def mask_map(
    deviation: NDArray[np.floating], expressions: Sequence[str], limit: float, title: str, description: str
) -> str:
    """SVG of (L, D) deviations: a band per expression, a column per channel, lines between CAFE's L groups of channels.

    Full colour is a deviation of `limit` and more. An expression whose deviations are NaN is said to have no faces.
    """
    count, channels = deviation.shape
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(height=BAND * count + 92, margins=(78, 20, 68, 24))
        axes.set_title(title, loc="left", fontsize=12, weight="bold", color=_INK, pad=7)
        bands = _tinted(np.nan_to_num(deviation) / limit).repeat(BAND, axis=0)
        axes.imshow(bands, aspect="auto", interpolation="none", extent=(0, channels, count - 0.5, -0.5))
        borders = np.arange(1, count) * (channels // count)
        axes.vlines(borders, -0.7, count - 0.3, color=_INK, linewidth=0.9, clip_on=False)
        for row in map(float, np.flatnonzero(np.isnan(deviation).all(axis=1))):
            axes.text(channels / 2, row, "no faces", ha="center", va="center")
        axes.set_yticks(range(count), expressions)
        axes.set(xticks=[], xlabel=f"{channels} channels in {count} groups")
        axes.spines["bottom"].set_visible(False)
        _key(figure, limit)
        return _svg(figure, description)


def _tinted(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Values of -1 to 1 (H, W) as (H, W, 4): 0 is transparent, so that it is the page's own background."""
    picture = np.empty((*values.shape, 4), dtype=np.uint8)
    picture[..., :3] = np.where((values > 0)[..., None], _bytes(RAISED), _bytes(LOWERED))
    picture[..., 3] = 17 * np.round(15 * np.abs(values).clip(0, 1))  # few tints make a small file
    return picture


def _bytes(colour: str) -> NDArray[np.uint8]:
    return np.round(255 * np.array(to_rgb(colour))).astype(np.uint8)


def _key(figure: Figure, limit: float) -> None:
    """What the tints mean, below a map of masks."""
    axes = _axes(figure, (78, 20), (34, round(figure.get_figheight() * 72) - 42))
    axes.imshow(_tinted(np.linspace(-1, 1, 31)[None]), aspect="auto", interpolation="none", extent=(-1, 1, 0, 1))
    axes.set(yticks=[], xlabel="mask − mean over the expressions")
    axes.set_xticks((-1, 0, 1), (f"−{limit:.2g}", "0", f"+{limit:.2g}"))


def side_by_side(drawings: Sequence[str], description: str) -> str:
    """An SVG document of drawings of one size, in a row; coloured by whatever shows it."""
    _, _, _, height = re.findall(r'viewBox="([^"]*)"', drawings[0])[0].split()
    placed = [
        drawing.replace("<svg ", f'<svg x="{i * WIDTH}" width="{WIDTH}" ', 1) for i, drawing in enumerate(drawings)
    ]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'viewBox="0 0 {WIDTH * len(drawings)} {height}" font-family="sans-serif" '
        'style="color-scheme: light dark; color: CanvasText; background: Canvas">'
        f"<title>{escape(description)}</title>{''.join(placed)}</svg>\n"
    )


def _figure(height: int, margins: tuple[int, int, int, int]) -> tuple[Figure, Axes]:
    """One pair of axes; margins left, right, bottom, top. All in pixels."""
    left, right, bottom, top = margins
    figure = _canvas(height)
    return figure, _axes(figure, (left, right), (bottom, top))


def _canvas(height: int) -> Figure:
    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
    figure.patch.set_alpha(0)
    return figure


def _axes(figure: Figure, across: tuple[int, int], upright: tuple[int, int]) -> Axes:
    """Axes with so many pixels to the figure's left and right, and to its bottom and top."""
    (left, right), (bottom, top) = across, upright
    height = figure.get_figheight() * 72
    box = (left / WIDTH, bottom / height, 1 - (left + right) / WIDTH, 1 - (bottom + top) / height)
    axes = figure.add_axes(box)
    axes.patch.set_alpha(0)
    return axes


def colours(count: int) -> list[str]:
    """One colour per method, in the order in which every figure draws them."""
    return [SERIES[i % len(SERIES)] for i in range(count)]


def _dots(axes: Axes, points: Sequence[tuple[float, float]], *, colour: str, size: float, edge: str = "none") -> None:
    x, y = np.reshape(points, (-1, 2)).T
    axes.scatter(x, y, s=size, c=colour, edgecolors=edge, linewidths=1.4, zorder=3)


def _svg(figure: Figure, description: str) -> str:
    """The figure as an inline SVG element that says what it shows, without anything that the page does not need."""
    stream = StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return inline(stream.getvalue(), description)


def inline(svg: str, description: str) -> str:
    """A standalone SVG document of matplotlib's as an element for a page."""
    body = svg[svg.index("<svg") :]
    used = set(re.findall(r"#([\w-]+)[\")]", body))
    body = re.sub(r' id="([\w-]+)"', lambda match: match[0] if match[1] in used else "", body)
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]*;?|<style.*?</style>", "", body, flags=re.DOTALL)
    # A picture may have more columns than the screen has pixels for it: those are to be averaged, not left out.
    body = re.sub(r"image-rendering:[^;\"]*;?", "", body)
    for placeholder, colour in _PAGE_COLOURS.items():
        body = body.replace(placeholder, colour)
    view = re.search(r'viewBox="[^"]*"', body)
    opening = f'<svg role="img" class="figure" {view[0] if view else ""}><title>{escape(description)}</title>'
    return re.sub(r"\n\s*", "\n", opening + body[body.index(">") + 1 :])
