"""The figure of estimates without labels: estimated against true accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fercache.reporting.drawing import (
    FAINT,
    INK,
    LINE,
    STYLE,
    WIDTH,
    Drawing,
    axes_within,
    canvas,
    colours,
    draw_legend,
    drawing,
    legend_height,
)

PLOT = 330  # pixels, the height of the plot with its numbers
STRIP = 96  # pixels, the width of the target's intervals
MARKERS = ("o", "^", "s", "D", "v", "P")
"""Of the sources, in the order of the alphabet."""


@dataclass(frozen=True)
class Dot:
    """A run of a `head` on a known domain: its estimated and true accuracy in percent."""

    head: str
    source: str
    estimated: float
    true: float


@dataclass(frozen=True)
class Asked:
    """The accuracy of a run of a `head` on the target, in percent, with its interval."""

    head: str
    source: str
    estimated: float
    low: float
    high: float


def estimated_against_true(dots: Sequence[Dot], asked: Sequence[Asked], description: str) -> Drawing:
    """A dot per run and known domain; beside them, as their true accuracy is unknown, the target's intervals."""
    both = [*dots, *asked]
    heads, sources = (sorted({getattr(each, name) for each in both}) for name in ("head", "source"))
    colour_of = dict(zip(heads, colours(len(heads)), strict=True))
    marker_of = {source: MARKERS[i % len(MARKERS)] for i, source in enumerate(sources)}
    key, below = legend_height(heads), LINE * len(sources)
    upright = (44 + below, 26 + key)
    with mpl.rc_context(STYLE):
        figure = canvas(key + PLOT + below)
        draw_legend(figure, colour_of)
        axes = axes_within(figure, (46, 14 + (STRIP if asked else 0)), upright)
        axes.set_title("known domains", loc="left", fontsize=12, weight="bold", color=INK, pad=6)
        axes.plot((0, 100), (0, 100), color=INK, linewidth=1, linestyle=(0, (4, 4)))
        for row, source in enumerate(sources):
            here = [dot for dot in dots if dot.source == source]
            x, y = [dot.true for dot in here], [dot.estimated for dot in here]
            shown = [colour_of[dot.head] for dot in here]
            axes.scatter(x, y, s=16, marker=marker_of[source], c=shown, alpha=0.6, linewidths=0, zorder=3)
            _name_source(figure, source, marker_of[source], row=len(sources) - 1 - row)
        _percent(axes)
        axes.set(xlim=(0, 102), xticks=range(0, 101, 20), xlabel="true accuracy, %", ylabel="estimated accuracy, %")
        if asked:
            strip = axes_within(figure, (WIDTH - STRIP, 8), upright)
            strip.set_title("target", loc="left", fontsize=12, weight="bold", color=INK, pad=6)
            places = range(len(asked))
            shown = [colour_of[each.head] for each in asked]
            strip.vlines(places, [each.low for each in asked], [each.high for each in asked], color=shown, zorder=2)
            for place, each in zip(places, asked, strict=True):
                strip.scatter([place], [each.estimated], s=12, marker=marker_of[each.source], color=INK, zorder=3)
            _percent(strip)
            strip.tick_params(labelleft=False)
            strip.set(xlim=(-1, max(len(asked), 2)), xticks=[])
        return drawing(figure, description)


def _percent(axes: Axes) -> None:
    axes.grid(color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set(ylim=(0, 102), yticks=range(0, 101, 20))


def _name_source(figure: Figure, source: str, marker: str, row: int) -> None:
    """Names the marker of a source at the bottom, in the `row` from below."""
    axes = axes_within(figure, (46, 0), (2 + LINE * row, round(figure.get_figheight() * 72) - 2 - LINE * (row + 1)))
    axes.set_axis_off()
    axes.set(xlim=(0, WIDTH - 46), ylim=(-1, 1))
    axes.scatter([5], [0], s=22, marker=marker, c=INK)
    axes.text(16, 0, f"trained on {source}", va="center_baseline")
