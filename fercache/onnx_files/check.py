"""The files against PyTorch, on synthetic faces of every domain."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.errors import FercacheError
from fercache.predicting.classifiers import Classifier
from fercache.runtime.progress import progress
from fercache.synthetic_faces import DOMAINS, EXPRESSIONS, draw, sample_face

SEED = 20_261_129
"""Seed of the people, who are in no dataset."""
TOLERANCE = 1e-4
SIDES = (48, 64, 96, 131)
"""Sides of the faces, if the file resizes them."""
PER_EXPRESSION = 2

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Drawn:
    """Synthetic faces of a `domain`: `images` (N, S, S, 3) uint8 and their `expressions`."""

    domain: str
    images: Pixels
    expressions: tuple[str, ...]


def drawn_faces(side: int | None = None, per_expression: int = PER_EXPRESSION) -> Iterator[Drawn]:
    """Batches of each domain: one face alone, then all expressions together, each batch with another of SIDES.

    With a `side`, all have that one.
    """
    for number, domain in enumerate(DOMAINS):
        for turn in range(per_expression):
            shown = EXPRESSIONS[:1] if turn == 0 else EXPRESSIONS
            size = side or SIDES[(number + turn) % len(SIDES)]
            people = (number * per_expression + turn) * len(EXPRESSIONS)
            faces = [sample_face(SEED, people + place, domain, expression=name) for place, name in enumerate(shown)]
            yield Drawn(domain, np.stack([draw(face, size) for face in faces]), tuple(shown))


def by_torch(classifier: Classifier, images: Pixels) -> Floats:
    """(N, S, S, 3) uint8 -> (N, L) probabilities, as `predict` computes them."""
    return classifier.probabilities([classifier.prepare(image) for image in images])


def session(file: Path) -> Any:
    """An onnxruntime session of a file, on the processor."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)  # errors are raised; warnings are about what it optimises
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def by_file(running: Any, given: NDArray[Any]) -> Floats:
    """(N, ...) of a file's only input -> (N, L)."""
    (only,) = running.get_inputs()
    probabilities: Floats = running.run(None, {only.name: given})[0]
    return probabilities


def check(file: Path, pairs: Sequence[tuple[NDArray[Any], Floats]]) -> float:
    """The largest difference between a file and PyTorch, for (input, probabilities). Raises FercacheError above
    TOLERANCE."""
    running, largest = session(file), 0.0
    with progress(f"check {file.name}", sum(len(given) for given, _ in pairs), "face") as bar:
        for given, expected in pairs:
            try:
                found = by_file(running, given)
            except Exception as error:  # onnxruntime has a class of errors per cause
                raise FercacheError(f"{file.name} fails with {len(given)} faces: {str(error)[:200]}") from error
            largest = max(largest, float(np.abs(found - expected).max()))
            bar.update(len(given))
    if not largest <= TOLERANCE:
        raise FercacheError(
            f"{file.name} differs from PyTorch: a probability by {largest:.1e}, at most {TOLERANCE:.0e} is allowed. "
            "Nothing was written; please report the head and encoder."
        )
    return largest
