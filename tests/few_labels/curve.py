"""`python -m tests.few_labels.curve --cache CACHE --csv FILE`: accuracy against the number of labelled faces.

Needs a cache with tables of the source and the targets. Faces are drawn at random, equally many of each expression,
DRAWS times; labels are the tables' own. Scores are on the target's other faces. Writes a CSV, and prints the means.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import numpy as np

from fercache.datasets import DatasetName
from fercache.expressions import first_expressions
from fercache.identity import seed_from
from fercache.loading.batches import as_faces
from fercache.loading.labelled_faces import LabelledFaces, Labelling, labelled_faces
from fercache.loading.tables import find_table
from fercache.loading.targets import target_split
from fercache.options.train import TrainRequest
from fercache.scoring.metrics import score
from fercache.scoring.selection import choose, headline_of
from fercache.settings import Settings
from fercache.stages._training_plans import training_plans
from fercache.store.tables import read_table
from fercache.training import head_logits

TARGETS = ("synthetic:webcam", "synthetic:night", "synthetic:sketch", "ferplus")
HEADS = ("class-mean", "gda", "shift-gda", "tip-adapter", "rla")
SHOTS = (0, 1, 2, 4, 8, 16)
DRAWS = 3
EXPRESSIONS = first_expressions(7)


def faces_of(settings: Settings, target: str) -> LabelledFaces:
    """The labelled faces of the split that is scored by default."""
    name, info = DatasetName.parse(target), find_table(settings.cache, target, None)
    split = target_split(info.splits, name, [])
    return labelled_faces(read_table(info.path), name, split, labelling=Labelling(EXPRESSIONS))


def drawn(faces: LabelledFaces, shots: int, draw: int) -> list[int]:
    """Indices of `shots` faces of each expression."""
    generator = np.random.default_rng(seed_from("few-shot", list(faces.id), draw))
    order = generator.permutation(len(faces.truth))  # the same order for all shots: more faces are a larger set
    return [int(i) for label in np.unique(faces.truth) for i in order[faces.truth[order] == label][:shots]]


def write_list(path: Path, target: str, faces: LabelledFaces, expressions: tuple[str, ...], rows: list[int]) -> Path:
    """A list as `fercache suggest` writes it, with the labels of the faces `rows`."""
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("id", "label", "target"))
        writer.writerows((faces.id[row], expressions[faces.truth[row]], target) for row in rows)
    return path


def accuracies(
    settings: Settings, request: TrainRequest, faces: LabelledFaces, learned: list[int]
) -> Iterator[tuple[str, float, float]]:
    """The accuracy and mean class recall of each head on the faces that it did not learn from."""
    others = np.setdiff1d(np.arange(len(faces.truth)), learned)
    for plan in training_plans(settings, request, read_table):
        head, fitted = plan.fit(0)
        policy = headline_of(fitted.history)
        head.load_state_dict(fitted.snapshots[choose(policy, fitted.history, len(plan.source.faces.validation.labels))])
        logits = head_logits(head.eval(), as_faces(faces.take(others), None, "cpu")).numpy()
        expressions = plan.source.expressions
        found = score(logits, faces.truth[others], expressions, known=expressions)
        yield plan.name, found.accuracy, found.mean_class_recall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--source", default="synthetic:studio")
    parser.add_argument("--target", nargs="*", default=TARGETS)
    parser.add_argument("--head", nargs="*", default=HEADS)
    parser.add_argument("--shots", nargs="*", type=int, default=SHOTS)
    parser.add_argument("--csv", type=Path, required=True)
    given = parser.parse_args()
    settings, rows = Settings(cache=given.cache), []
    for target in given.target:
        faces = faces_of(settings, target)
        for shots in given.shots:
            for draw in range(DRAWS if shots else 1):
                learned = drawn(faces, shots, draw)
                with TemporaryDirectory() as folder:
                    few = write_list(Path(folder, "few.csv"), target, faces, EXPRESSIONS, learned) if shots else None
                    request = TrainRequest(source=given.source, heads=tuple(given.head), few=few, device="cpu")
                    for head, accuracy, mean_class_recall in accuracies(settings, request, faces, learned):
                        rows.append((target, head, shots, draw, accuracy, mean_class_recall))
            for head in given.head:
                found = [row for row in rows if row[:3] == (target, head, shots)]
                mean, recall = (100 * fmean(row[i] for row in found) for i in (4, 5))
                spread = 100 * float(np.std([row[4] for row in found]))
                print(f"{target:18} {head:12} {shots:3} {mean:5.1f} ±{spread:3.1f} {recall:5.1f}", flush=True)
    with given.csv.open("w", newline="") as stream:
        csv.writer(stream).writerows((("target", "head", "shots", "draw", "accuracy", "mean_class_recall"), *rows))


if __name__ == "__main__":
    main()
