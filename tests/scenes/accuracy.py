"""Accuracy on FERPlus's test faces: the crops themselves, and scene -> detector -> crop, as a Markdown table.

`python -m tests.scenes.accuracy gda mtcnn yunet:FILE --ferplus ROOT --cache CACHE` asks a run of the cache.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fercache import Settings
from fercache.detectors import Detector, load_detector
from fercache.images.alignment import Alignment, FoundFace
from fercache.options.extract import EncoderRequest
from fercache.predicting.classifiers import Classifier, of_text, of_trained
from tests.scenes.compose import MOST_FACES, Look, Truth, compose
from tests.scenes.portraits import Pixels, Portrait, ferplus_portraits

BATCH = 64
EDGE = 0.15
"""A face is found if the middle of a box lies in its portrait, not within this share of an edge."""
ALIGNMENTS: dict[str, tuple[Alignment, bool]] = {
    "landmarks": (Alignment(), True),
    "box": (Alignment(), False),
    "box, margin -0.05": (Alignment(-0.05), False),
    "box, margin 0.1": (Alignment(0.1), False),
}
Found = list[tuple[Pixels, Truth, FoundFace | None]]


def find_faces(detector: Detector, portraits: Sequence[Portrait], look: Look) -> Found:
    """Each portrait in its scene, with the best box whose middle lies in it."""
    found: Found = []
    for number, start in enumerate(range(0, len(portraits), MOST_FACES)):
        pixels, truths = compose(portraits[start : start + MOST_FACES], seed=number, look=look)
        faces = detector.find(pixels)
        found += [(pixels, truth, next((face for face in faces if _is_of(face, truth)), None)) for truth in truths]
    return found


def _is_of(face: FoundFace, truth: Truth) -> bool:
    corner = np.array(truth.portrait_box[:2])
    middle = (np.array(face.box[:2]) + face.box[2:]) / 2
    place = (middle - corner) / truth.side
    return bool((place >= EDGE).all() and (place <= 1 - EDGE).all())


def right(classifier: Classifier, crops: Sequence[Pixels], truths: Sequence[Truth]) -> NDArray[np.bool_]:
    """Whether the most probable expression of each crop is the true one."""
    answers: list[str] = []
    for start in range(0, len(crops), BATCH):
        shares = classifier.probabilities([classifier.prepare(crop) for crop in crops[start : start + BATCH]])
        answers += [classifier.names[best] for best in shares.argmax(1)]
    return np.array(answers) == np.array([truth.portrait.expression for truth in truths])


def crops_by(found: Found) -> Iterator[tuple[str, Callable[[Pixels, Truth, FoundFace], Pixels]]]:
    """Ways to cut out a face."""
    yield "the crops themselves", lambda pixels, truth, face: truth.portrait.pixels
    for name, (alignment, by_landmarks) in ALIGNMENTS.items():
        yield (
            name,
            lambda pixels, truth, face, alignment=alignment, by_landmarks=by_landmarks: alignment.crop(
                pixels, face if by_landmarks else replace(face, landmarks=())
            ),
        )


def rows(found: Found, classifiers: Sequence[Classifier]) -> Iterator[list[str]]:
    """A row per way to cut out the faces that were found: its name, and the accuracy of each classifier."""
    there = [(pixels, truth, face) for pixels, truth, face in found if face is not None]
    truths = [truth for _, truth, _ in there]
    for name, cut in crops_by(found):
        crops = [cut(*each) for each in there]
        yield [name, *(f"{100 * right(classifier, crops, truths).mean():.1f}" for classifier in classifiers)]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("detectors", nargs="+")
    parser.add_argument("--ferplus", type=Path, required=True, help="root of FERPlus")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=996)
    parser.add_argument("--angle", type=float, default=0.0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    settings = Settings(cache=given.cache)
    classifiers = [of_text(EncoderRequest(device="cpu")), of_trained(settings, given.run, "cpu")]
    portraits = ferplus_portraits(given.ferplus, given.faces, seed=5)
    print(f"| detector | found | crop | {' | '.join(each.title for each in classifiers)} |", flush=True)
    for name in given.detectors:
        found = find_faces(load_detector(name), portraits, Look(given.angle))
        share = sum(face is not None for _, _, face in found) / len(found)
        for row in rows(found, classifiers):
            print(f"| {name.partition(':')[0]} | {100 * share:.0f} % | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
