"""The figure of estimates without labels: estimated against true accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes

from fercache.reporting.drawing import (
    FAINT,
    INK,
    LINE,
    STYLE,
    Drawing,
    axes_within,
    canvas,
    colours,
    draw_legend,
    drawing,
    legend_height,
)

PLOT = 330  # pixels, the height of the plot with its numbers
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
    """A dot per run and known domain; lines across for the intervals of the target, whose true accuracy is unknown."""
    both = [*dots, *asked]
    heads, sources = (sorted({getattr(each, name) for each in both}) for name in ("head", "source"))
    colour_of = dict(zip(heads, colours(len(heads)), strict=True))
    marker_of = {source: MARKERS[i % len(MARKERS)] for i, source in enumerate(sources)}
    key, below = legend_height(heads), LINE * len(sources)
    with mpl.rc_context(STYLE):
        figure = canvas(key + PLOT + below)
        draw_legend(figure, colour_of)
        axes = axes_within(figure, (46, 14), (40 + below, 8 + key))
        axes.grid(color=FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.plot((0, 100), (0, 100), color=INK, linewidth=1, linestyle=(0, (4, 4)))
        for source in sources:
            here = [dot for dot in dots if dot.source == source]
            axes.scatter(
                [dot.true for dot in here],
                [dot.estimated for dot in here],
                s=16,
                marker=marker_of[source],
                c=[colour_of[dot.head] for dot in here],
                alpha=0.6,
                linewidths=0,
                label=f"trained on {source}",
            )
        _intervals(axes, asked, colour_of)
        axes.set(xlim=(0, 102), ylim=(0, 102), xlabel="true accuracy, %", ylabel="estimated accuracy, %")
        axes.set(xticks=range(0, 101, 20), yticks=range(0, 101, 20))
        for row, source in enumerate(sources):
            place = -(40 + LINE * (row + 0.6)) / (PLOT - 48)
            axes.scatter(
                [0.02], [place], s=24, marker=marker_of[source], c=INK, transform=axes.transAxes, clip_on=False
            )
            axes.text(0.06, place, f"trained on {source}", va="center_baseline", transform=axes.transAxes)
        return drawing(figure, description)


def _intervals(axes: Axes, asked: Sequence[Asked], colour_of: Mapping[str, str]) -> None:
    """Draws the target's estimates at the right end, side by side, since no label says how far right they belong."""
    for place, each in enumerate(asked):
        at = 101 - 1.6 * (len(asked) - 1 - place)
        axes.vlines(at, each.low, each.high, color=colour_of[each.head], linewidth=1.6, clip_on=False)
        axes.scatter([at], [each.estimated], s=26, marker="_", color=INK, zorder=4, clip_on=False)
