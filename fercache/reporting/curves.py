"""Figures of curves: corruptions by severity, reliability, abstention, settings, and training by epoch."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, nan
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fercache.reporting.drawing import (
    FAINT,
    INK,
    STYLE,
    WIDTH,
    Drawing,
    axes_within,
    canvas,
    colours,
    draw_legend,
    drawing,
    legend_height,
    tens_around,
)
from fercache.reporting.table_rows import Cell

PANEL = 136  # pixels, the height of a corruption's panel with its title and numbers
PLOT = 290  # pixels, the height of a single plot with its numbers

SCORES_PLOT, LOSS_PLOT = 150, 130  # pixels, the heights of the two plots of a learning curve

MOST_TICKS = 12
"""The largest number of ticks on an axis; more would overlap."""

Curve = Sequence[tuple[int, Cell]]
"""Severities, and accuracy at each."""


@dataclass(frozen=True)
class Line:
    """A method's line with its colour and its label in the legend. `weights` of its points sum to 1."""

    colour: str
    label: str
    x: Sequence[float]
    y: Sequence[float]
    weights: Sequence[float] = ()


def corruption_curves(methods: Mapping[str, tuple[str, Mapping[str, Curve]]], description: str) -> Drawing:
    """A panel per corruption with accuracy in percent by severity, a line per method.

    `methods[name]` is the colour, and the curves by corruption; a line is broken where a cell is missing.
    """
    curves = [curve for _, by_kind in methods.values() for curve in by_kind.values()]
    lowest, highest = tens_around([cell.mean for curve in curves for _, cell in curve if cell.mean is not None], 20)
    kinds = list(dict.fromkeys(kind for _, by_kind in methods.values() for kind in by_kind))
    key = legend_height(list(methods))
    height = key + PANEL * ceil(len(kinds) / 2) + 24
    with mpl.rc_context(STYLE):
        figure = canvas(height)
        draw_legend(figure, {name: colour for name, (colour, _) in methods.items()})
        for place, kind in enumerate(kinds):
            row, right = divmod(place, 2)
            top = key + PANEL * row
            axes = axes_within(figure, (190, 14) if right else (32, 172), (height - top - PANEL + 18, top + 22))
            axes.set_title(kind, loc="left", fontsize=12, weight="bold", color=INK, pad=6)
            axes.grid(axis="y", color=FAINT, linewidth=0.8)
            for colour, by_kind in methods.values():
                severities = [severity for severity, _ in by_kind[kind]]
                values = [nan if cell.mean is None else cell.mean for _, cell in by_kind[kind]]
                axes.plot(severities, values, color=colour, linewidth=1.8, marker="o", markersize=3.6)
            axes.set(xlim=(-0.25, 5.25), ylim=(lowest - 1, highest + 1), xticks=range(6))
            axes.set_yticks(range(lowest, highest + 1, 20))
            axes.tick_params(labelleft=not right, labelsize=11)
        figure.text(32 / WIDTH, 4 / height, "accuracy in %, by severity (0: clean)", color=INK)
        return drawing(figure, description)


@contextmanager
def _plot(
    colour_of: Mapping[str, str], height: int = PLOT, grid: Literal["both", "y"] = "both"
) -> Iterator[tuple[Figure, Axes]]:
    """A figure with axes below a legend, in the style of all figures; `height` is in pixels, without the legend."""
    key = legend_height(list(colour_of))
    with mpl.rc_context(STYLE):
        figure = canvas(key + height)
        axes = axes_within(figure, (46, 14), (38, 8 + key))
        draw_legend(figure, colour_of)
        axes.grid(axis=grid, color=FAINT, linewidth=0.8)
        yield figure, axes


def reliability(lines: Sequence[Line], description: str) -> Drawing:
    """Accuracy by confidence, both in percent; larger points represent more faces."""
    with _plot({line.label: line.colour for line in lines}) as (figure, axes):
        axes.set_axisbelow(True)
        axes.plot((0, 100), (0, 100), color=INK, linewidth=1, linestyle=(0, (4, 4)))
        for line in lines:
            axes.plot(line.x, line.y, color=line.colour, linewidth=1.2, alpha=0.6)
            axes.scatter(line.x, line.y, s=8 + 160 * np.asarray(line.weights), color=line.colour, alpha=0.75, zorder=3)
        axes.set(xlim=(0, 102), ylim=(-2, 102), xlabel="confidence, %", ylabel="accuracy, %")
        axes.set(xticks=range(0, 101, 20), yticks=range(0, 101, 20))
        return drawing(figure, description)


def abstention(lines: Sequence[Line], description: str) -> Drawing:
    """Error rate by coverage, the share of the most confident faces; both in percent."""
    _, highest = tens_around([value for line in lines for value in line.y])
    with _plot({line.label: line.colour for line in lines}) as (figure, axes):
        for line in lines:
            axes.plot(line.x, line.y, color=line.colour, linewidth=1.8)
        axes.set(xlim=(0, 102), ylim=(0, highest), xlabel="coverage (most confident faces first), %")
        axes.set(xticks=range(0, 101, 20), ylabel="error rate, %")
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        return drawing(figure, description)


def setting_curve(
    values: Sequence[float], curves: Mapping[str, Sequence[Cell]], name: str, description: str
) -> Drawing:
    """Accuracy in percent by the value of a setting, a curve per target or mean, each seed as a dot.

    Values are evenly spaced, because grids often grow by factors.
    """
    places, colour_of = range(len(values)), dict(zip(curves, colours(len(curves)), strict=True))
    lowest, highest = tens_around([value for cells in curves.values() for cell in cells for value in cell.values])
    with _plot(colour_of, height=PLOT - 80, grid="y") as (figure, axes):
        for label, cells in curves.items():
            means = [nan if cell.mean is None else cell.mean for cell in cells]
            axes.plot(places, means, color=colour_of[label], linewidth=1.8, marker="o", markersize=5)
            dots = [(place, value) for place, cell in zip(places, cells, strict=True) for value in cell.values]
            axes.scatter([place for place, _ in dots], [value for _, value in dots], s=6, color=INK, zorder=3)
        axes.set(xlim=(-0.3, len(values) - 0.7), ylim=(lowest, highest), xlabel=name, ylabel="accuracy, %")
        step = ceil(len(values) / MOST_TICKS)
        axes.set_xticks(places[::step], [f"{value:g}" for value in values[::step]])
        return drawing(figure, description)


@dataclass(frozen=True)
class Training:
    """A run by epoch: scores on source validation in percent, and terms of the loss, by name.

    `chosen` is the epoch of the snapshot that the selection policy chose, by the score `chosen_by`.
    """

    epochs: Sequence[int]
    scores: Mapping[str, Sequence[float]]
    losses: Mapping[str, Sequence[float]]
    chosen: int
    chosen_by: str


def training_curves(runs: Sequence[Training], description: str) -> Drawing:
    """Scores on source validation above terms of the loss, by epoch: a thin line per seed, and chosen epochs marked."""
    scores = list(dict.fromkeys(name for run in runs for name in run.scores))
    losses = list(dict.fromkeys(name for run in runs for name in run.losses))
    colour_of = dict(zip([*scores, *losses], colours(len(scores) + len(losses)), strict=True))
    key, key_of_losses = legend_height(scores), legend_height(losses) if losses else 0
    top_of_losses = key + SCORES_PLOT
    height = top_of_losses + (key_of_losses + LOSS_PLOT if losses else 0) + 38
    with mpl.rc_context(STYLE):
        figure = canvas(height)
        draw_legend(figure, {name: colour_of[name] for name in scores})
        above = axes_within(figure, (46, 14), (height - top_of_losses, key + 6))
        _by_epoch(above, [(run.epochs, run.scores) for run in runs], colour_of)
        for run in runs:
            marked = run.scores[run.chosen_by][list(run.epochs).index(run.chosen)]
            above.plot([run.chosen], [marked], "o", markersize=7, markerfacecolor="none", color=INK, zorder=4)
        lowest, highest = tens_around([value for run in runs for values in run.scores.values() for value in values])
        above.set(ylim=(lowest, highest + 1), ylabel="%")
        below = above
        if losses:
            draw_legend(figure, {name: colour_of[name] for name in losses}, top=top_of_losses + 8)
            below = axes_within(figure, (46, 14), (38, top_of_losses + key_of_losses + 14))
            _by_epoch(below, [(run.epochs, run.losses) for run in runs], colour_of)
            below.set(ylabel="loss")
            above.tick_params(labelbottom=False)
        below.set(xlabel="epoch (circle: the chosen snapshot)")
        return drawing(figure, description)


def _by_epoch(
    axes: Axes, runs: Sequence[tuple[Sequence[int], Mapping[str, Sequence[float]]]], colour_of: Mapping[str, str]
) -> None:
    """A line per run and name."""
    for epochs, by_name in runs:
        for name, values in by_name.items():
            dashes = "--" if "recall" in name else "-"  # often the same as accuracy
            axes.plot(epochs, values, dashes, color=colour_of[name], linewidth=1.1)
    axes.grid(color=FAINT, linewidth=0.8)
    axes.set(xlim=(0, max(epoch for epochs, _ in runs for epoch in epochs) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
