"""The figure of a face in a video: its probabilities over time."""

from collections.abc import Iterator, Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from fercache.reporting.drawing import FAINT, LINE, STYLE, Drawing, drawing

LENGTH, HEIGHT = 900, 260  # pixels
LEFT, RIGHT, BOTTOM, TOP = 44, 130, 40, 30
"""Margins in pixels; the legend is on the right."""


def timeline_figure(
    times: Sequence[float], shares: NDArray[np.float32], colours: Mapping[str, str], *, title: str, gap: float
) -> Drawing:
    """Stacked probabilities, (T, L) `shares` at T `times` in seconds; `colours` of the L expressions, in their order.

    A face that is out of sight for more than `gap` seconds leaves a blank.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(LENGTH / 72, HEIGHT / 72), dpi=72, facecolor="none")
        place = (LEFT / LENGTH, BOTTOM / HEIGHT, 1 - (LEFT + RIGHT) / LENGTH, 1 - (BOTTOM + TOP) / HEIGHT)
        axes = figure.add_axes(place, facecolor="none")
        for start, end in _pieces(times, gap):
            _stack(axes, np.asarray(times[start:end]), shares[start:end] * 100, colours=list(colours.values()))
        axes.grid(axis="x", color=FAINT, linewidth=0.8)
        axes.set(ylim=(0, 100), xlim=(times[0], max(times[-1], times[0] + 1)), ylabel="probability, %", xlabel="time")
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 3, 5, 6, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(_clock))
        axes.tick_params(axis="x", pad=7)
        axes.set_title(title, loc="left", fontsize=12, weight="bold")
        _legend(figure, colours)
        return drawing(figure, f"{title}: probabilities over time")


def _pieces(times: Sequence[float], gap: float) -> Iterator[tuple[int, int]]:
    """The ranges of times without a step of more than `gap`."""
    ends = [place for place in range(1, len(times)) if times[place] - times[place - 1] > gap]
    yield from zip([0, *ends], [*ends, len(times)], strict=True)


def _stack(axes: Axes, times: NDArray[np.float64], shares: NDArray[np.float32], *, colours: Sequence[str]) -> None:
    if len(times) == 1:  # a face in a single frame would have no width
        times, shares = np.array([times[0], times[0] + 0.2]), np.repeat(shares, 2, axis=0)
    axes.stackplot(times, shares.T, colors=colours, linewidth=0)


def _legend(figure: Figure, colours: Mapping[str, str]) -> None:
    """The expressions from top to bottom, as they are stacked."""
    for line, (name, colour) in enumerate(reversed(list(colours.items()))):
        middle = 1 - (TOP + LINE * (line + 0.5)) / HEIGHT
        figure.text((LENGTH - RIGHT + 12) / LENGTH, middle, "■", color=colour, va="center_baseline")
        figure.text((LENGTH - RIGHT + 28) / LENGTH, middle, name, va="center_baseline")


def _clock(seconds: float, _: object = None) -> str:
    whole = f"{int(seconds) // 60}:{int(seconds) % 60:02}"
    return whole if float(seconds).is_integer() else f"{whole}.{round(seconds % 1 * 10)}"
