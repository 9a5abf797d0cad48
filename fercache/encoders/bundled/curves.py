"""The course of a training: `python -m fercache.encoders.bundled.curves --ferplus ROOT --out DIR`.

Draws the terms of the loss, and the accuracy and mean class recall on FERPlus validation of the averages that the
training kept, at the image size of their step.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from fercache.encoders.bundled import Bundled, weights
from fercache.encoders.bundled.recipe import RECIPES
from fercache.encoders.bundled.scores import on_ferplus
from fercache.encoders.bundled.train import HISTORY
from fercache.options.extract import EncoderRequest

PICTURE = "curves.png"
SCORES = ("accuracy", "mean_class_recall")


def draw(history: pd.DataFrame, validation: pd.DataFrame, path: Path) -> None:
    """Two panels over the steps: losses, and scores in percent."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for name, values in history.drop(columns="seconds").set_index("step").items():
        left.plot(values.rolling(4, min_periods=1).mean(), label=str(name))
    left.set(xlabel="step", ylabel="loss", ylim=(0, None))
    for name, values in (100 * validation.set_index("step")[list(SCORES)]).items():
        right.plot(values, marker="o", label=str(name).replace("_", " "))
    right.set(xlabel="step", ylabel="FERPlus validation, %")
    for each in (left, right):
        each.legend(frameon=False, fontsize=8)
        each.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Scores the kept averages and draws the curves into DIR."""
    parser = argparse.ArgumentParser(description="Draw the course of a training of a bundled encoder.")
    parser.add_argument("--ferplus", type=Path, required=True, help="folder of FERPlus")
    parser.add_argument("--out", type=Path, required=True, help="folder of the training")
    parser.add_argument("--encoder", choices=RECIPES, default="bundled", help="default: bundled")
    options = parser.parse_args(arguments)
    recipe, rows = RECIPES[options.encoder], []
    for path in sorted(options.out.glob(f"{Path(weights.FILES[options.encoder][0]).stem}-[0-9]*.safetensors")):
        step = int(path.stem.rpartition("-")[2])
        size, encoder = recipe.size(step - 1), Bundled.load(EncoderRequest(weights=path))
        scored = on_ferplus(encoder, options.ferplus, "validation", side=size)
        rows.append({"step": step, "size": size, **{name: scored[name] for name in SCORES}})
        print(*(f"{name} {round(value, 4)}" for name, value in rows[-1].items()), flush=True)
    validation = pd.DataFrame(rows)
    history = pd.read_csv(options.out / HISTORY).drop_duplicates("step", keep="last")
    draw(history, validation, options.out / PICTURE)


if __name__ == "__main__":
    main()
