"""`python -m tests.few_labels.weight --cache CACHE`: how much a few labelled faces should weigh beside the source.

Trains with several values of FIRM (see `fercache.loading.few_labelled`) on the targets that it was chosen on, as
`tests.few_labels.curve` does. Prints the accuracy of each head, the mean over targets, numbers of labels and draws.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from fercache.loading import few_labelled
from fercache.options.train import TrainRequest
from fercache.settings import Settings
from tests.few_labels.curve import DRAWS, EXPRESSIONS, accuracies, drawn, faces_of, write_list

TARGETS = ("synthetic:webcam", "synthetic:night")
HEADS = ("class-mean", "gda", "shift-gda", "tip-adapter")
SHOTS = (1, 4, 16)
FIRM = (1, 5, 20, 80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--firm", nargs="*", type=int, default=FIRM)
    given = parser.parse_args()
    settings = Settings(cache=given.cache)
    print(f"| FIRM | {' | '.join(HEADS)} | all |\n|{'---|' * (len(HEADS) + 2)}")
    for firm in given.firm:
        few_labelled.FIRM = firm
        found: dict[str, list[float]] = defaultdict(list)
        for target in TARGETS:
            faces = faces_of(settings, target)
            for shots in SHOTS:
                for draw in range(DRAWS):
                    learned = drawn(faces, shots, draw)
                    with TemporaryDirectory() as folder:
                        few = write_list(Path(folder, "few.csv"), target, faces, EXPRESSIONS, learned)
                        request = TrainRequest(source="synthetic:studio", heads=HEADS, few=few, device="cpu")
                        for head, accuracy, _ in accuracies(settings, request, faces, learned):
                            found[head].append(100 * accuracy)
        means = [fmean(found[head]) for head in HEADS]
        print(f"| {firm} | {' | '.join(f'{mean:.1f}' for mean in (*means, fmean(means)))} |", flush=True)


if __name__ == "__main__":
    main()
