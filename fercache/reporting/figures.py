"""Figures of bars and bands: recall per expression, generalisation gap, masks."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fercache.reporting.drawing import (
    FAINT,
    INK,
    LINE,
    SERIES,
    STYLE,
    WIDTH,
    Drawing,
    axes_within,
    canvas,
    colours,
    draw_legend,
    drawing,
    legend_height,
    with_own_names,
)
from fercache.reporting.table_rows import MISSING, Cell

BAND = 20  # pixels, the height of an expression in a map of masks
RAISED, LOWERED = SERIES[1], SERIES[0]
"""Colours of channels that an expression's mask lets through more, and less, than those of other expressions."""


@dataclass(frozen=True)
class Bar:
    """A cell in percent, with the interval of its mean, if there is one."""

    cell: Cell
    interval: tuple[float, float] | None = None


def recall_bars(recalls: Mapping[str, Mapping[str, Bar]], expressions: Sequence[str], description: str) -> Drawing:
    """Grouped bars: `recalls[method][expression]`, with a whisker for the interval and a dot for each seed."""
    height, key = 0.8 / len(recalls), legend_height(list(recalls))
    colour_of = dict(zip(recalls, colours(len(recalls)), strict=True))
    with mpl.rc_context(STYLE):
        figure, axes = _figure(42 + (14 + 16 * len(recalls)) * len(expressions) + key, (78, 14, 38, 4 + key))
        draw_legend(figure, colour_of)
        axes.grid(axis="x", color=FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
        for series, (name, recall) in enumerate(recalls.items()):
            places = np.arange(len(expressions)) - 0.4 + height * (series + 0.5)
            bars = [recall[expression] for expression in expressions]
            _bars(axes, bars, places, height=height * 0.86, colour=colour_of[name])
        axes.set(xlim=(0, 102), ylim=(len(expressions) - 0.5, -0.5), xlabel="recall, %")
        axes.set_yticks(range(len(expressions)), expressions)
        return drawing(figure, description)


def _bars(axes: Axes, bars: Sequence[Bar], places: NDArray[np.floating], height: float, colour: str) -> None:
    axes.barh(places, [bar.cell.mean or 0 for bar in bars], height, color=colour, alpha=0.75)
    whiskers = [(place, *bar.interval) for place, bar in zip(places, bars, strict=True) if bar.interval]
    axes.hlines(*np.reshape(whiskers, (-1, 3)).T, color=INK, linewidth=0.9)
    seeds = [(value, place) for place, bar in zip(places, bars, strict=True) for value in bar.cell.values]
    _dots(axes, seeds, colour=INK, size=5)


def generalisation_gap(methods: Mapping[str, tuple[Cell, Cell]], description: str) -> Drawing:
    """Per method the accuracy on its source and the mean on unseen targets, in percent, each seed as a dot."""
    lines = [wrap(name, 40) for name in methods]
    heights = [29 + LINE * len(each) for each in lines]
    with mpl.rc_context(STYLE):
        figure, axes = _figure(height=46 + sum(heights), margins=(10, 14, 38, 4))
        axes.grid(axis="x", color=FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
        across = axes.get_yaxis_transform()
        first = 13  # pixels from the top to the middle of a method's first line
        of_method = zip(colours(len(methods)), lines, methods.values(), strict=True)
        for (colour, named, (source, unseen)), height in zip(of_method, heights, strict=True):
            for i, line in enumerate(named):
                axes.text(0, first + LINE * i, line, va="center", transform=across)
            place = first + LINE * len(named)
            axes.text(1, first, _gap(source, unseen), va="center", ha="right", weight="bold", transform=across)
            if source.mean is not None and unseen.mean is not None:
                axes.hlines(place, unseen.mean, source.mean, color=colour, linewidth=5, alpha=0.3)
                _dots(axes, [(value, place) for value in source.values], colour=colour, size=26)
                _dots(axes, [(value, place) for value in unseen.values], colour="none", size=26, edge=colour)
            first += height
        axes.set(xlim=(0, 100), ylim=(sum(heights), 0), yticks=[], xlabel="accuracy, %")
        return drawing(figure, description)


def _gap(source: Cell, unseen: Cell) -> str:
    if source.mean is None or unseen.mean is None:
        return MISSING
    return f"{unseen.mean - source.mean:+z.1f}".replace("-", "−")


def mask_map(
    deviation: NDArray[np.floating], expressions: Sequence[str], limit: float, title: str, description: str
) -> Drawing:
    """(L, D) deviations: a band per expression, a column per channel, lines between CAFE's L groups of channels.

    Deviations of `limit` and more have full colour. Expressions whose deviations are NaN are labelled "no faces".
    """
    count, channels = deviation.shape
    with mpl.rc_context(STYLE):
        figure, axes = _figure(height=BAND * count + 92, margins=(78, 20, 68, 24))
        axes.set_title(title, loc="left", fontsize=12, weight="bold", color=INK, pad=7)
        bands = _tinted(np.nan_to_num(deviation) / limit).repeat(BAND, axis=0)
        axes.imshow(bands, aspect="auto", interpolation="none", extent=(0, channels, count - 0.5, -0.5))
        borders = np.arange(1, count) * (channels // count)
        axes.vlines(borders, -0.7, count - 0.3, color=INK, linewidth=0.9, clip_on=False)
        for row in map(float, np.flatnonzero(np.isnan(deviation).all(axis=1))):
            axes.text(channels / 2, row, "no faces", ha="center", va="center")
        axes.set_yticks(range(count), expressions)
        axes.set(xticks=[], xlabel=f"{channels} channels in {count} groups")
        axes.spines["bottom"].set_visible(False)
        _key(figure, limit)
        return drawing(figure, description)


def _tinted(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Values of -1 to 1 (H, W) as RGBA (H, W, 4); 0 is transparent and shows the page's background."""
    pixels = np.empty((*values.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where((values > 0)[..., None], _bytes(RAISED), _bytes(LOWERED))
    pixels[..., 3] = 17 * np.round(15 * np.abs(values).clip(0, 1))  # few tints make a small file
    return pixels


def _bytes(colour: str) -> NDArray[np.uint8]:
    return np.round(255 * np.array(to_rgb(colour))).astype(np.uint8)


def _key(figure: Figure, limit: float) -> None:
    """Draws the colour scale below a map of masks."""
    axes = axes_within(figure, (78, 20), (34, round(figure.get_figheight() * 72) - 42))
    axes.imshow(_tinted(np.linspace(-1, 1, 31)[None]), aspect="auto", interpolation="none", extent=(-1, 1, 0, 1))
    axes.set(yticks=[], xlabel="mask − mean over the expressions")
    axes.set_xticks((-1, 0, 1), (f"−{limit:.2g}", "0", f"+{limit:.2g}"))


def side_by_side(drawings: Sequence[Drawing], description: str) -> str:
    """An SVG document of drawings of one size in a row, in the viewer's colours."""
    _, _, _, height = re.findall(r'viewBox="([^"]*)"', drawings[0].svg)[0].split()
    placed = [
        drawing.svg.replace("<svg ", f'<svg x="{i * WIDTH}" width="{WIDTH}" ', 1) for i, drawing in enumerate(drawings)
    ]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'viewBox="0 0 {WIDTH * len(drawings)} {height}" font-family="sans-serif" '
        'style="color-scheme: light dark; color: CanvasText; background: Canvas">'
        f"<title>{escape(description)}</title>{with_own_names(''.join(placed))}</svg>\n"
    )


def _figure(height: int, margins: tuple[int, int, int, int]) -> tuple[Figure, Axes]:
    """A figure with axes; margins are left, right, bottom, top, in pixels."""
    left, right, bottom, top = margins
    figure = canvas(height)
    return figure, axes_within(figure, (left, right), (bottom, top))


def _dots(axes: Axes, points: Sequence[tuple[float, float]], *, colour: str, size: float, edge: str = "none") -> None:
    x, y = np.reshape(points, (-1, 2)).T
    axes.scatter(x, y, s=size, c=colour, edgecolors=edge, linewidths=1.4, zorder=3)
