"""`python -m tests.few_labels.figure CURVE.csv ... --out FILE.svg`: draws the curves of `curve`, and prints a table."""

import argparse
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import pandas as pd

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
from fercache.store.atomic import write_text
from tests.few_labels.curve import HEADS, TARGETS

PANEL = 168  # pixels


def drawn(rows: pd.DataFrame) -> Drawing:
    """A panel per target with accuracy by the number of labels of each expression, a line per head, a dot per draw."""
    targets, colour_of = _present(rows, "target", TARGETS), dict(zip(HEADS, colours(len(HEADS)), strict=True))
    shots = sorted(rows["shots"].unique())
    key = legend_height(list(HEADS))
    height = key + PANEL * ((len(targets) + 1) // 2) + 24
    with mpl.rc_context(STYLE):
        figure = canvas(height)
        draw_legend(figure, colour_of)
        for place, target in enumerate(targets):
            row, right = divmod(place, 2)
            top = key + PANEL * row
            axes = axes_within(figure, (194, 14) if right else (28, 180), (height - top - PANEL + 18, top + 22))
            axes.set_title(target, loc="left", fontsize=12, weight="bold", color=INK, pad=6)
            axes.grid(axis="y", color=FAINT, linewidth=0.8)
            here = rows[rows["target"] == target]
            _lines(axes, here, colour_of, shots=shots)
            lowest, highest = tens_around(list(100 * here["accuracy"]))
            axes.set(ylim=(lowest, highest), xlim=(-0.3, len(shots) - 0.7), yticks=range(lowest, highest + 1, 10))
            axes.set_xticks(range(len(shots)), [str(each) for each in shots])
            axes.tick_params(labelsize=11)
        figure.text(28 / WIDTH, 4 / height, "accuracy in %, by labels of each expression", color=INK)
        return drawing(figure, "Accuracy of each head on four targets, by the number of labels of each expression.")


def _lines(axes: mpl.axes.Axes, rows: pd.DataFrame, colour_of: Mapping[str, str], shots: list[int]) -> None:
    for head, of_head in rows.groupby("head"):
        means = 100 * of_head.groupby("shots")["accuracy"].mean()
        places = [shots.index(each) for each in means.index]
        axes.plot(places, means, color=colour_of[str(head)], linewidth=1.8)
        dots = [shots.index(each) for each in of_head["shots"]]
        axes.scatter(dots, 100 * of_head["accuracy"], s=5, color=colour_of[str(head)], zorder=3)


def _present(rows: pd.DataFrame, column: str, order: tuple[str, ...]) -> list[str]:
    return [each for each in order if (rows[column] == each).any()]


def table(rows: pd.DataFrame) -> str:
    """Accuracy / mean class recall in percent, mean over the draws, with the deviation of accuracy."""
    shots = sorted(rows["shots"].unique())
    lines = [f"| | | {' | '.join(map(str, shots))} |", f"|---|---|{'---|' * len(shots)}"]
    for target in _present(rows, "target", TARGETS):
        for head in HEADS:
            of_head = rows[(rows["target"] == target) & (rows["head"] == head)].groupby("shots")
            cells = [_cell(of_head.get_group(each)) if each in of_head.groups else "" for each in shots]
            lines += [f"| {target} | {head} | {' | '.join(cells)} |"] if any(cells) else []
    return "\n".join(lines)


def _cell(rows: pd.DataFrame) -> str:
    accuracy, mean_class_recall = 100 * rows["accuracy"], 100 * rows["mean_class_recall"]
    spread = f" ±{accuracy.std():.1f}" if len(rows) > 1 else ""
    return f"{accuracy.mean():.1f}{spread} / {mean_class_recall.mean():.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("curves", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rows = pd.concat([pd.read_csv(each) for each in given.curves])
    write_text(given.out, drawn(rows).document)
    given.out.with_suffix(".png").write_bytes(drawn(rows).png)
    print(table(rows))


if __name__ == "__main__":
    main()
