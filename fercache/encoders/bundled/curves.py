"""The course of a training: `python -m fercache.encoders.bundled.curves --ferplus ROOT --out DIR`.

Draws the terms of the loss, and the accuracy and mean class recall on FERPlus validation of the averages that the
training kept, at the image size of their step.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch
from sklearn.metrics import balanced_accuracy_score

from fercache.encoders.bundled import weights
from fercache.encoders.bundled.faces import VOTE_COLUMNS, read_ferplus
from fercache.encoders.bundled.recipe import TrainingRecipe
from fercache.encoders.bundled.train import HISTORY
from fercache.expressions import EXPRESSIONS
from fercache.prompts import prompt_set
from fercache.votes import voted_labels

PICTURE = "curves.png"


@torch.inference_mode()
def on_validation(path: Path, root: Path, size: int) -> dict[str, float]:
    """Accuracy and mean class recall of the weights at `path` by text alone, on images of `size` pixels."""
    import open_clip

    model, real = weights.build(), read_ferplus(root, "validation")
    model.load_state_dict(weights.read(path))
    model.eval()
    labels = voted_labels(EXPRESSIONS, real.votes, [f"new:{name}" for name in VOTE_COLUMNS])
    faces = torch.from_numpy(real.pixels[labels.kept])[:, None].float()
    resized = torch.nn.functional.interpolate(faces, size=(size, size), mode="bilinear", antialias=True)
    images = ((resized / 255 - 0.5) / 0.25).expand(-1, 3, -1, -1)
    features = torch.cat([model.encode_image(batch, normalize=True) for batch in images.split(256)])
    texts = [open_clip.tokenize(prompt_set("faces")[name], model.text.context_length) for name in EXPRESSIONS]
    means = torch.stack([model.encode_text(text).mean(dim=0) for text in texts])
    predicted, truth = (features @ torch.nn.functional.normalize(means).T).argmax(dim=1), labels.index[labels.kept]
    return {
        "accuracy": float((predicted.numpy() == truth).mean()),
        "mean_class_recall": float(balanced_accuracy_score(truth, predicted.numpy())),
    }


def draw(history: pd.DataFrame, validation: pd.DataFrame, path: Path) -> None:
    """Two panels over the steps: losses, and scores in percent."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for name, values in history.drop(columns="seconds").set_index("step").items():
        left.plot(values.rolling(4, min_periods=1).mean(), label=str(name))
    left.set(xlabel="step", ylabel="loss", ylim=(0, None))
    for name, values in (100 * validation.set_index("step")[["accuracy", "mean_class_recall"]]).items():
        right.plot(values, marker="o", label=str(name).replace("_", " "))
    right.set(xlabel="step", ylabel="FERPlus validation, %")
    for each in (left, right):
        each.legend(frameon=False, fontsize=8)
        each.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Scores the kept averages and draws the curves into DIR."""
    parser = argparse.ArgumentParser(description="Draw the course of a training of the bundled encoder.")
    parser.add_argument("--ferplus", type=Path, required=True, help="folder of FERPlus")
    parser.add_argument("--out", type=Path, required=True, help="folder of the training")
    options = parser.parse_args(arguments)
    recipe, rows = TrainingRecipe(), []
    for path in sorted(options.out.glob(f"{Path(weights.FILE).stem}-*.safetensors")):
        step = int(path.stem.rpartition("-")[2])
        size = recipe.size(step - 1)
        rows.append({"step": step, "size": size, **on_validation(path, options.ferplus, size)})
        print(*(f"{name} {value:.4g}" for name, value in rows[-1].items()), flush=True)
    validation = pd.DataFrame(rows)
    history = pd.read_csv(options.out / HISTORY).drop_duplicates("step", keep="last")
    draw(history, validation, options.out / PICTURE)


if __name__ == "__main__":
    main()
